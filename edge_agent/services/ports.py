"""What the supervisor of services needs beside a runtime: images, doors, probes, logs, and a memory."""

from collections.abc import Collection, Mapping
from typing import Protocol

from edge_agent.services.instance import Instance, Root
from fairway.services.model import Probe


class Images(Protocol):
    """Images that lie in the vehicle.  Contract: tests/contracts/test_images.py."""

    async def root(self, digest: str) -> Root:
        """Return an image unpacked and verified.

        Raises BadInput when it is not here or can never run, Tampered when it is not what its digest says,
        Unavailable when there is no room.
        """
        ...

    async def collect(self, keep: frozenset[str]) -> int:
        """Remove all images but those with these digests, and return how many bytes that freed."""
        ...


class Doors(Protocol):
    """The socket folder of each instance: vehicle data with its own rights, and what others offer it.

    Contract: tests/contracts/test_service_doors.py.
    """

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        """Serve an instance that is about to start, and return the environment that leads it there.

        One whose door is open already is served on: its manifest is the same, or its id would not be.
        """
        ...

    async def started(self, id_: str) -> None:
        """Note that an instance whose door is open runs now, in another process than before.  Never raises."""
        ...

    async def serve(self, active: Mapping[str, Instance]) -> None:
        """Let services call each other: of each service by name, the instance that is in force and ready."""
        ...

    async def close(self, id_: str) -> None:
        """Serve it no longer, and remove its folder."""
        ...


class Prober(Protocol):
    """Asks instances how they are.  Contract: tests/contracts/test_prober.py."""

    async def probe(self, instance: Instance, probe: Probe, *, timeout_s: float) -> str:
        """Return "" when the probe is passed, else one sentence why not.  Never raises a FairwayError."""
        ...


class Logs(Protocol):
    """What instances said on standard output and error.  Contract: tests/contracts/test_service_logs.py."""

    def lines(self, id_: str, last: int) -> list[str]:
        """Return the newest lines, the oldest first, each as `TIME stream text`; none of what is unknown."""
        ...

    def keep_only(self, services: Collection[str]) -> None:
        """Remove the lines of all services but these."""
        ...


class Kept(Protocol):
    """Records that outlive a power cut.  Contract: tests/contracts/test_kept.py."""

    def read(self, name: str) -> bytes | None:
        """Return a record, None when there is none."""
        ...

    def keep(self, name: str, record: bytes) -> None:
        """Replace a record, and return once it is durable; after a power cut it is the old one or the new."""
        ...
