"""Where a person on this machine orders services, at the agent's own socket: `edge-agent services`.

    {"ask": "apply", "services": [{...}, ...], "retry": false}    -> {"answer": null}
    {"ask": "why", "name": "tyre-watch"}                           -> {"answer": {...}}
    {"ask": "load", "path": "/media/usb/tyre-watch"}               -> {"error": "...", "kind": "BadInput"}

Rule 1: who orders services may run anything that the settings allow: see local_door.py for who may ask.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from edge_agent.adapters import local_door
from edge_agent.adapters.local_door import LocalDoor, Terms
from fairway import log
from fairway.errors import BadInput
from fairway.services.manifest import service_of
from fairway.services.model import Service
from fairway.services.states import Status

EVENTS = log.get("edge_agent.services")

SOCKET_NAME = "services.sock"
REQUEST_MAX_BYTES = 4 * 1024 * 1024  # some hundred manifests
LINES_MAX = 10_000
SERVICES_MAX = 200
LOAD_TIMEOUT_S = 1800.0  # an image of gigabytes from a slow medium
_TERMS = Terms(REQUEST_MAX_BYTES, timeouts_s={"load": LOAD_TIMEOUT_S}, who="agent with services")


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
        self._supervisor, self._shelf = supervisor, shelf
        handlers: dict[str, local_door.Handler] = {
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
        self._door = LocalDoor(
            path,
            handlers,
            _TERMS,
            lambda reason: EVENTS.warning("no_service_desk", path=str(path), reason=reason),
        )

    async def start(self) -> None:
        """Listen, if that can be."""
        await self._door.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.stop()

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
    return local_door.ask(path, _TERMS, question, **more)


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked[key]
    if not isinstance(value, str):
        raise BadInput(f"{key} is no text")
    return value


def _fitting(lines: Sequence[str]) -> list[str]:
    """Return the newest lines that an answer holds."""
    room, taken = local_door.ANSWER_MAX_BYTES // 2, list[str]()
    for line in reversed(lines):
        room -= 6 * len(line) + 4  # as escaped JSON, at worst
        if room < 0:
            break
        taken.append(line)
    return taken[::-1]
