"""One version of a service, ready to run in this vehicle.

    Service (fairway.services) + Root (its image, unpacked) + folders, uid > Instance > Runtime

Rule 1: an instance is named by its service and by all that its manifest says: two that differ in anything are
        two instances, and the same manifest is always the same one.
"""

from dataclasses import dataclass
from pathlib import Path

from fairway.services.model import Data, Service

# Where a service finds its sockets, its token and those of the services that it uses.
SOCKETS = "/run/ecu"


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What an image says about how it is run (OCI image configuration, `config`)."""

    argv: tuple[str, ...] = ()  # entry point and command
    environment: tuple[tuple[str, str], ...] = ()
    folder: str = "/"
    user: str = ""
    stop_signal: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """An image that lies unpacked in the vehicle."""

    digest: str
    layers: tuple[Path, ...]  # the lowest first; read only, shared with other images
    settings: ImageSettings


@dataclass(frozen=True, slots=True)
class Instance:
    """One version of a service, ready to run."""

    id: str  # "<service>.<12 hex digits>": container, control group and folders are called so
    service: Service
    root: Root | None  # None with Runner.PROCESS
    uid: int  # of this service alone, and its group
    sockets: Path  # on the vehicle; inside it is SOCKETS
    data: tuple[tuple[Path, Data], ...] = ()  # on the vehicle, and where it is inside
    environment: tuple[tuple[str, str], ...] = ()  # what the agent adds

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run."""
        return self.service.command or (self.root.settings.argv if self.root else ())
