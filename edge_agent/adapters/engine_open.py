"""Opens the runtime of a container engine as the settings want it, and keeps its images in step with ours.

    [services] runtime = "engine", engine_socket  >  AwaitedEngine, which opens an EngineRuntime
    collect(keep)  >  our images, then the engine's

Rule 1: an engine is told apart by no name of the vehicle: its label is made of the folder of the services.
"""

import asyncio
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.runtime_engine import EngineRuntime
from edge_agent.adapters.runtime_process import Outputs
from edge_agent.services.instance import Instance, Root
from edge_agent.services.runtime import Executed, Guarantees, Seen, Usage
from edge_agent.services.seccomp_profile import profile
from fairway import log
from fairway.errors import Unavailable

_LOG = log.get("edge_agent.services")


# What an engine gives is known when it has been asked; until then nothing is promised.
_NOT_KNOWN = Guarantees(
    memory=False,
    cpu=False,
    pids=False,
    read_only_root=False,
    no_capabilities=False,
    system_calls=False,
    own_network=False,
    own_files=False,
    images=True,
    survives_agent=True,
    exit_codes_after=True,
)


class AwaitedEngine:
    """The runtime at an engine that may be started after the agent: each look at its instances tries again."""

    def __init__(self, socket: Path, folder: Path, images: ImageStore, outputs: Outputs) -> None:
        """Take the engine's socket, and the folder of the services, a whole path."""
        self._socket, self._folder, self._images, self._outputs = socket, folder, images, outputs
        self._engine: EngineRuntime | None = None
        self._opening = asyncio.Lock()

    @property
    def gives(self) -> Guarantees:
        return _NOT_KNOWN if self._engine is None else self._engine.gives

    async def start(self, instance: Instance) -> None:
        await self._there().start(instance)

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        await self._there().stop(id_, signal=signal, grace_s=grace_s)

    async def instances(self) -> Mapping[str, Seen]:
        async with self._opening:
            if self._engine is None:
                self._engine = await self._opened()
        return await self._engine.instances()

    async def until_changed(self) -> None:
        await self._there().until_changed()

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        return await self._there().execute(id_, argv, timeout_s=timeout_s)

    async def usage(self, id_: str) -> Usage:
        return await self._there().usage(id_)

    async def collect(self, keep: frozenset[str]) -> None:
        """Remove our images from the engine, but those with these digests.  Raises Unavailable."""
        await self._there().collect(keep)

    async def close(self) -> None:
        """Let go of all containers; they run on."""
        if self._engine is not None:
            await self._engine.close()

    def _there(self) -> EngineRuntime:
        if self._engine is None:
            raise Unavailable(f"the container engine at {self._socket} has not answered yet")
        return self._engine

    async def _opened(self) -> EngineRuntime:
        return await EngineRuntime.open(
            self._socket,
            agent=hashlib.sha256(str(self._folder).encode()).hexdigest()[:12],
            seccomp=profile(platform.machine()),
            archives=self._images,
            outputs=self._outputs,
            folder=self._folder / "engine",
        )


class EngineImages:
    """The images of the vehicle, which an engine holds a second time."""

    def __init__(self, images: ImageStore, engine: AwaitedEngine) -> None:
        self._images, self._engine = images, engine

    async def root(self, digest: str) -> Root:
        return await self._images.root(digest)

    async def collect(self, keep: frozenset[str]) -> int:
        freed_bytes = await self._images.collect(keep)
        try:
            await self._engine.collect(keep)
        except Unavailable as error:  # what the engine holds too long is removed another time
            _LOG.warning("engine_images_kept", reason=str(error))
        return freed_bytes
