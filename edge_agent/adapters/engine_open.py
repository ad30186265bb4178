"""Opens the runtime of a container engine as the settings want it, and keeps its images in step with ours.

    [services] runtime = "engine", engine_socket  >  EngineRuntime
    collect(keep)  >  our images, then the engine's

Rule 1: an engine is told apart by no name of the vehicle: its label is made of the folder of the services.
"""

import hashlib
import platform
from pathlib import Path

from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.runtime_engine import EngineRuntime
from edge_agent.adapters.runtime_process import Outputs
from edge_agent.services.instance import Root
from edge_agent.services.seccomp_profile import profile
from fairway import log
from fairway.errors import Unavailable

_LOG = log.get("edge_agent.services")


async def open_engine(
    socket: Path, folder: Path, images: ImageStore, outputs: Outputs
) -> EngineRuntime:
    """Return the runtime at the engine of `socket` for services in `folder`, a whole path.

    Raises Unavailable.
    """
    return await EngineRuntime.open(
        socket,
        agent=hashlib.sha256(str(folder).encode()).hexdigest()[:12],
        seccomp=profile(platform.machine()),
        archives=images,
        outputs=outputs,
        folder=folder / "engine",
    )


class EngineImages:
    """The images of the vehicle, which an engine holds a second time."""

    def __init__(self, images: ImageStore, engine: EngineRuntime) -> None:
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
