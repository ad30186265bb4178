"""A port on a service's own loopback that leads to its door: for programs that know no Unix sockets.

    in the container: 127.0.0.1:55555 > the agent, which listens in there > agent.sock

Rule 1: the agent listens inside the service's network namespace: on nobody else's loopback is that port.
Rule 2: a service that shares the vehicle's network gets none: everybody could call as that service.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

from edge_agent.adapters.network_namespaces import is_ours, made_in, network_of
from fairway.errors import BadInput, Unavailable

HOST = "127.0.0.1"
# Where clients of KUKSA and Velocitas look unless they are told otherwise.
PORT = 55_555
CONNECTIONS_MAX = 16
_CHUNK_BYTES = 65_536


class Loopback:
    """One service's port."""

    def __init__(self, door: Path) -> None:
        """`door` is the socket that it leads to."""
        self._door = door
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self, pid: int, uid: int) -> None:
        """Listen where the process `pid` of the user `uid` lives.  Raises BadInput or Unavailable."""
        with network_of(pid, uid) as network:
            if is_ours(network):
                raise BadInput(
                    f"the process {pid} has the vehicle's network: everybody there could be it"
                )
            listening = await made_in(network, _listening)
        self._server = await asyncio.start_server(self._take, sock=listening)

    async def close(self) -> None:
        """Listen no longer, and end what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._carrying) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._carrying.add(task)
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # the door closes
        finally:
            self._carrying.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(str(self._door))
        except OSError:
            return  # the door is not there now: its program connects again
        try:
            ways = [asyncio.create_task(_copied(*way)) for way in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            back.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


def _listening() -> socket.socket:
    """Return a socket that listens on the loopback of whoever calls.  Raises Unavailable."""
    made = socket.socket(socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, PORT))
        made.listen(CONNECTIONS_MAX)
    except OSError as error:
        made.close()
        raise Unavailable(f"cannot listen on {HOST}:{PORT} there: {error.strerror}") from error
    made.setblocking(False)  # noqa: FBT003 - the socket's own word
    return made
