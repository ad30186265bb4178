"""A socket beside the spool where a person on this machine asks about campaigns: `edge-agent campaign`.

    {"ask": "list"}                     -> [{...}, ...]
    {"ask": "why", "campaign": "name"}  -> {...}            one line each way, then the connection ends

Rule 1: only the agent's own user may open it: what is asked shows where the vehicle was.
Rule 2: it is a convenience: an agent that cannot open it says so and runs on.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairway import log
from fairway.errors import BadInput, FairwayError, Unavailable

EVENTS = log.get("edge_agent.campaigns")

SOCKET_NAME = "campaigns.sock"
REQUEST_MAX_BYTES = 4096
ANSWER_MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0

Ask = Callable[[str, str], Any]


class CampaignDoor:
    """Answers."""

    def __init__(self, path: Path, ask: Ask) -> None:
        """`ask` takes what is asked and of which campaign, and may raise BadInput."""
        self._path, self._ask = path, ask
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, if that can be."""
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._answer, sock=_own_socket(self._path), limit=REQUEST_MAX_BYTES
            )
        except OSError as error:
            EVENTS.warning("no_campaign_door", path=str(self._path), reason=str(error))

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = self._said(await reader.readuntil(b"\n"))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever that was, it asked nothing
        finally:
            writer.close()

    def _said(self, line: bytes) -> Any:
        try:
            asked = json.loads(line)
            return {"answer": self._ask(str(asked["ask"]), str(asked.get("campaign", "")))}
        except FairwayError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"error": 'this is no question: write {"ask": "list"}'}


def asked(path: Path, ask: str, campaign: str = "") -> Any:
    """Ask the agent that listens at `path`.  Raises Unavailable or BadInput."""
    request = json.dumps({"ask": ask, "campaign": campaign}).encode() + b"\n"
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(request)
            while len(answer) <= ANSWER_MAX_BYTES and (part := connection.recv(65_536)):
                answer += part
    except OSError as error:
        raise Unavailable(f"no agent answers at {path}: {error.strerror or error}") from error
    try:
        said = json.loads(answer)
    except ValueError as error:
        raise Unavailable(f"what answers at {path} is no agent of this version") from error
    if "error" in said:
        raise BadInput(said["error"])
    return said["answer"]


def _own_socket(path: Path) -> socket.socket:
    """Return a socket at `path` that only this user may open.  Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        made.bind(str(path))
    except OSError:
        made.close()
        raise
    finally:
        os.umask(mask)
    return made
