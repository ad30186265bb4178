"""The nouns of an update under way; vehicle and cloud agree on this.

    PLANNED > OFFERED > CONSENT > DOWNLOADING > STAGED > WINDOW > INSTALLING > VERIFYING
        > COMMITTED | ROLLED_BACK | FAILED | EXPIRED

Rule 1: an event names its order and has a number that grows: said twice it counts once.
"""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How an update stands in one vehicle."""

    PLANNED = "planned"
    OFFERED = "offered"
    CONSENT = "consent"  # waits for the driver
    DOWNLOADING = "downloading"
    STAGED = "staged"
    WINDOW = "window"  # waits for its conditions
    INSTALLING = "installing"
    VERIFYING = "verifying"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in {Stage.COMMITTED, Stage.ROLLED_BACK, Stage.FAILED, Stage.EXPIRED}


class Fault(StrEnum):
    """What kind of failure it was: decides whether it is tried again."""

    NETWORK = "network"  # try again
    BUDGET = "budget"  # it would cost more than is allowed on this link
    STORAGE = "storage"  # no room, or a disk that does not keep what it is given
    CONDITION = "condition"  # the vehicle was not ready in time
    CONSENT = "consent"  # the driver said no
    TRUST = "trust"  # refused: signatures, hashes, counters
    INSTALL = "install"
    HEALTH = "health"  # installed, and not well: it came back
    SAFETY = "safety"  # stops a rollout at once
    TIME = "time"  # took longer than it may
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class UpdateEvent:
    """What became of an order in a vehicle."""

    action: str
    sequence: int
    time_ns: int
    stage: Stage
    ecu: str = ""  # a serial; "": the vehicle as a whole
    percent: int | None = None
    fault: Fault | None = None
    sentence: str = ""
    log: str = ""  # the failed boot's last lines, when there are any
