"""A socket beside the spool where a person on this machine orders services: `edge-agent services`.

    {"ask": "apply", "services": [{...}, ...], "retry": false}    -> {"answer": null}
    {"ask": "why", "name": "tyre-watch"}                           -> {"answer": {...}}
    {"ask": "load", "path": "/media/usb/tyre-watch"}               -> {"error": "...", "kind": "BadInput"}

Rule 1: only the agent's own user may open it: who orders services may run anything that the settings allow.
Rule 2: one line each way, then the connection ends; both have limits, and what comes late is given up.
Rule 3: it is a convenience: an agent that cannot open it says so and runs on.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fairway import log
from fairway.errors import BadInput, Conflict, Denied, FairwayError, Tampered, Unavailable
from fairway.services.manifest import service_of
from fairway.services.model import Service
from fairway.services.states import Status

EVENTS = log.get("edge_agent.services")

SOCKET_NAME = "services.sock"
REQUEST_MAX_BYTES = 4 * 1024 * 1024  # some hundred manifests
ANSWER_MAX_BYTES = 16 * 1024 * 1024
LINES_MAX = 10_000
SERVICES_MAX = 200
ASKING_MAX = 16  # at once
READ_TIMEOUT_S = 10.0
TIMEOUT_S = 30.0
LOAD_TIMEOUT_S = 1800.0  # an image of gigabytes from a slow medium

_KINDS: Mapping[str, type[FairwayError]] = {
    one.__name__: one for one in (BadInput, Conflict, Denied, Tampered, Unavailable)
}


class Orders(Protocol):
    """What people order of the supervisor (edge_agent.adapters.services.Services)."""

    async def apply(self, services: Sequence[Service], *, retry: bool = False) -> None:
        """Declare services, and return once that is durable.  Raises a FairwayError: nothing is changed."""
        ...

    async def stop(self, name: str) -> None:
        """Stop a service until a person starts it.  Raises BadInput or Unavailable."""
        ...

    async def start(self, name: str) -> None:
        """Have a service run that was stopped, or is not active.  Raises BadInput or Unavailable."""
        ...

    async def remove(self, name: str) -> None:
        """Take a service back.  Raises BadInput or Unavailable."""
        ...

    async def restart(self, name: str) -> None:
        """Stop what runs of a service; it is started again at once.  Raises BadInput."""
        ...


class Telling(Protocol):
    """What the supervisor tells."""

    def statuses(self) -> Sequence[Status]:
        """Return how all services stand, by name."""
        ...

    def why(self, name: str) -> dict[str, Any]:
        """Return everything that explains how a service stands.  Raises BadInput."""
        ...

    def logs(self, name: str, last: int) -> Sequence[str]:
        """Return the newest lines of a service.  Raises BadInput."""
        ...


class Supervisor(Orders, Telling, Protocol):
    """The supervisor, as far as the desk goes."""

    def images_changed(self) -> None:
        """Look again for images that were missing."""
        ...

    async def collect_images(self) -> int:
        """Remove the images that nobody needs, and return how many bytes that freed."""
        ...


class Shelf(Protocol):
    """Images in the vehicle (edge_agent.adapters.images.ImageStore)."""

    async def take(self, path: Path, digest: str | None = None) -> Sequence[str]:
        """Take in an image, or all, of a layout or archive; return their digests.  Raises a FairwayError."""
        ...

    async def resolve(self, name: str) -> str:
        """Return the digest of what was last taken under `name`.  Raises BadInput."""
        ...

    async def list(self) -> Sequence[Any]:
        """Return all images: digest, names, packed_bytes."""
        ...


class ServiceDesk:
    """Answers."""

    def __init__(self, path: Path, supervisor: Supervisor, shelf: Shelf) -> None:
        self._path, self._supervisor, self._shelf = path, supervisor, shelf
        self._server: asyncio.Server | None = None
        self._asking = 0
        self._answers: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "apply": self._apply,
            "stop": lambda asked: supervisor.stop(_text(asked, "name")),
            "start": lambda asked: supervisor.start(_text(asked, "name")),
            "remove": lambda asked: supervisor.remove(_text(asked, "name")),
            "restart": lambda asked: supervisor.restart(_text(asked, "name")),
            "list": self._list,
            "why": self._why,
            "logs": self._logs,
            "images": self._images,
            "resolve": lambda asked: shelf.resolve(_text(asked, "name")),
            "load": self._load,
            "collect": self._collect,
        }

    async def start(self) -> None:
        """Listen, if that can be."""
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._answer, sock=_own_socket(self._path), limit=REQUEST_MAX_BYTES
            )
        except OSError as error:
            EVENTS.warning("no_service_desk", path=str(self._path), reason=str(error))

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking += 1
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                line = await reader.readuntil(b"\n")
            answer = await self._said(line)
            async with asyncio.timeout(READ_TIMEOUT_S):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except asyncio.LimitOverrunError:
            writer.write(_error(BadInput(f"that is over {REQUEST_MAX_BYTES} bytes")) + b"\n")
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever that was, it asked nothing, or left
        finally:
            self._asking -= 1
            writer.close()

    async def _said(self, line: bytes) -> Any:
        try:
            if self._asking > ASKING_MAX:
                raise Unavailable(f"{ASKING_MAX} others ask at this moment: try again")
            asked = json.loads(line)
            answer = self._answers[asked["ask"]]
            limit_s = LOAD_TIMEOUT_S if asked["ask"] == "load" else TIMEOUT_S
            async with asyncio.timeout(limit_s):
                return {"answer": await answer(asked)}
        except FairwayError as error:
            return json.loads(_error(error))
        except TimeoutError:
            return json.loads(_error(Unavailable("that took too long, and was given up")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return json.loads(_error(BadInput('this is no question: write {"ask": "list"}')))

    async def _apply(self, asked: dict[str, Any]) -> None:
        documents = asked["services"]
        if not isinstance(documents, list) or not 0 < len(documents) <= SERVICES_MAX:
            raise BadInput(f"give 1 to {SERVICES_MAX} services")
        services = [service_of(one, file=f"services[{n}]") for n, one in enumerate(documents)]
        await self._supervisor.apply(services, retry=asked.get("retry") is True)
        EVENTS.info("services_applied", services=[f"{one.name} {one.version}" for one in services])

    async def _list(self, _: dict[str, Any]) -> Any:
        return [dataclasses.asdict(one) for one in self._supervisor.statuses()]

    async def _why(self, asked: dict[str, Any]) -> Any:
        return self._supervisor.why(_text(asked, "name"))

    async def _logs(self, asked: dict[str, Any]) -> Any:
        last = asked.get("last", 100)
        if not isinstance(last, int) or not 0 < last <= LINES_MAX:
            raise BadInput(f"ask for 1 to {LINES_MAX} lines")
        lines = self._supervisor.logs(_text(asked, "name"), last)
        return _fitting(lines)

    async def _images(self, _: dict[str, Any]) -> Any:
        return [
            {"digest": one.digest, "names": list(one.names), "packed_bytes": one.packed_bytes}
            for one in await self._shelf.list()
        ]

    async def _load(self, asked: dict[str, Any]) -> Any:
        path, digest = Path(_text(asked, "path")), asked.get("digest")
        if not path.is_absolute() or not isinstance(digest, str | None):
            raise BadInput("give the whole path of a layout or archive, and a digest or none")
        digests = list(await self._shelf.take(path, digest))
        self._supervisor.images_changed()
        return digests

    async def _collect(self, _: dict[str, Any]) -> Any:
        return await self._supervisor.collect_images()


def ask(path: Path, question: str, /, **more: Any) -> Any:
    """Ask the agent that listens at `path`.  Raises what it says, Unavailable where there is none."""
    request = json.dumps({"ask": question} | more).encode() + b"\n"
    if len(request) > REQUEST_MAX_BYTES:
        raise BadInput(f"these are {len(request)} bytes: {REQUEST_MAX_BYTES} at most go at once")
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(LOAD_TIMEOUT_S if question == "load" else TIMEOUT_S + 5.0)
            connection.connect(str(path))
            connection.sendall(request)
            while len(answer) <= ANSWER_MAX_BYTES and (part := connection.recv(65_536)):
                answer += part
    except OSError as error:
        raise Unavailable(
            f"no agent with services answers at {path}: {error.strerror or error}"
        ) from error
    try:
        said = json.loads(answer)
        if "error" not in said:
            return said["answer"]
        kind, sentence = _KINDS.get(said.get("kind"), BadInput), str(said["error"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"what answers at {path} is no agent of this version") from error
    raise kind(sentence)


def _error(error: FairwayError) -> bytes:
    return json.dumps({"error": str(error), "kind": type(error).__name__}).encode()


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked[key]
    if not isinstance(value, str):
        raise BadInput(f"{key} is no text")
    return value


def _fitting(lines: Sequence[str]) -> list[str]:
    """Return the newest lines that an answer holds."""
    room, taken = ANSWER_MAX_BYTES // 2, list[str]()
    for line in reversed(lines):
        room -= 6 * len(line) + 4  # as escaped JSON, at worst
        if room < 0:
            break
        taken.append(line)
    return taken[::-1]


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
