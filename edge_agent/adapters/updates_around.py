"""What updates have around them, and the limits that the settings give them.

Rule 1: what they install with, where, and whom they ask is given; they open nothing themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge_agent.updates.conditions import Facts, Terms
from edge_agent.updates.planner import Means
from edge_agent.updates.ports import Checks, Content, Installer, Machine, Memory
from fairway.clock import Clock
from ota.manifest import Image, Source
from ota.trust.model import Assigned


class Unpack(Protocol):
    """Makes an image of what was fetched (ota.delta)."""

    def __call__(
        self, image: Image, source: Source, packed: Path, base: Path | None, out: Path
    ) -> None:
        """Write the image to `out`.  Raises BadInput when it does not apply, Tampered, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how often."""

    health_within_s: float = 300.0  # after which what is not well goes back
    health_for_s: float = 10.0  # well all the time, before it is committed
    look_s: float = 1.0  # between two looks at health or conditions
    order_max_age_s: float = 30 * 86_400.0  # after which an order that waits is given up
    tries_max: int = 3  # of a step of an installer that is not available
    fetch_tries_max: int = 30
    back_off_first_s: float = 1.0
    back_off_max_s: float = 600.0
    way_back_max_s: float = 60.0  # between tries to bring something back, or to commit


def _nothing(_assigned: Sequence[Assigned]) -> None:
    """There are no release counters."""


@dataclass(frozen=True, slots=True)
class Around:
    """What they have."""

    memory: Memory
    machine: Machine
    installers: Mapping[str, Installer]  # by the serial of the ECU
    content: Content
    checks: Checks
    unpack: Unpack
    facts: Callable[[], Facts]
    means: Callable[[], Means]
    clock: Clock
    folder: Path  # of what is fetched
    terms: Terms = field(default_factory=Terms)
    limits: Limits = field(default_factory=Limits)
    committed: Callable[[Sequence[Assigned]], None] = _nothing  # raises release counters, durably
