"""What updates need of the world: metadata and bytes from the cloud, a way to tell, and installers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from edge_agent.updates.order import Kept
from fairway.update import UpdateEvent
from ota.manifest import Blob, Image
from ota.trust.model import Assigned, Ecu, Wanted


class Metadata(Protocol):
    """Fetches metadata.  Contract: tests/contracts/test_update_server.py."""

    async def get(self, wanted: Wanted) -> bytes | None:
        """Return the bytes of a file, None when there is none.

        Raises Tampered for more bytes than were wanted or bytes that come too slowly, Unavailable.
        """
        ...


class Content(Protocol):
    """Fetches large files.  Contract: tests/contracts/test_update_server.py."""

    async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
        """Write a blob to `path`, whole and verified, going on after what lies there; return the bytes taken.

        Raises Denied when more than `most_bytes` would have to be taken, Tampered for other bytes than those of
        the blob, Unavailable when it may work later (what was verified stays), BadInput when it never will.
        """
        ...


class Reports(Protocol):
    """Tells the cloud.  Contract: tests/contracts/test_update_server.py."""

    async def report(self, signed: bytes) -> None:
        """Hand in a signed report of the vehicle.  Raises Unavailable, BadInput."""
        ...

    async def tell(self, events: Sequence[UpdateEvent]) -> None:
        """Tell what became of an order; after this it is kept there.  Raises Unavailable, BadInput."""
        ...


class Health(StrEnum):
    """How a new version does."""

    WELL = "well"
    NOT_YET = "not_yet"
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class Stored:
    """An image whose bytes are here and verified."""

    image: Image
    path: Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an installer finds after an activation."""

    health: Health
    sentence: str = ""
    log: str = ""  # of the boot that failed


class Installer(Protocol):
    """Installs images of one kind.  Contract: tests/contracts/test_installer.py.

    Every call may come again after a power cut, and does then what is left to do.  `token` names the order:
    what is staged, active or kept for the way back belongs to it.
    """

    async def probe(self, ecu: Ecu) -> str:
        """Return the SHA-256 of the image that the ECU holds, "" when it does not say.  Raises Unavailable."""
        ...

    async def check(self, assigned: Assigned) -> None:
        """Raise BadInput when the image can never be installed here, Unavailable when not now (no room)."""
        ...

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        """Stage the image without any effect on what runs, durable.  Raises Unavailable, Tampered."""
        ...

    async def activate(self, token: str, assigned: Assigned) -> bool:
        """Put it in force on trial; return whether the vehicle has to start anew.  Raises Unavailable."""
        ...

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        """Look how it does, once."""
        ...

    async def commit(self, token: str, assigned: Assigned) -> bool:
        """Keep it for good: nothing comes back after this.

        Returns whether the vehicle has to start anew, for what was kept does not run.  Raises Unavailable.
        """
        ...

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        """Bring the image back that was there before, and forget what was staged.

        Returns whether the vehicle has to start anew for that: it is called again then.  Raises Unavailable.
        """
        ...


@runtime_checkable
class Bases(Protocol):
    """An installer that can show the bytes of the image that its ECU holds: differences apply to them."""

    async def base(self, ecu: Ecu) -> Path | None:
        """Return where those bytes are, None when they are nowhere."""
        ...


class Memory(Protocol):
    """What outlives a power cut.  Contract: tests/contracts/test_updates_store.py."""

    def read(self) -> Kept:
        """Return what was kept last, an empty one where nothing was.  Raises Unavailable."""
        ...

    def keep(self, kept: Kept) -> None:
        """Replace it whole, and return once that is durable.  Raises Unavailable: then the old one is kept."""
        ...


class Machine(Protocol):
    """The computer that all of it runs on.  Test: tests/edge_agent/adapters/test_updates_vehicle.py."""

    def boot_id(self) -> str:
        """Return a name of this boot: another one after each start."""
        ...

    async def restart(self) -> None:
        """Have the vehicle start anew; what comes after is not reached, or much later.  Raises Unavailable."""
        ...


class Checks(Protocol):
    """Whether the vehicle as a whole is well.  Test: tests/edge_agent/adapters/test_updates_vehicle.py."""

    async def look(self) -> Verdict:
        """Look once."""
        ...
