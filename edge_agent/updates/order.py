"""What a vehicle keeps of updates: the order under way, what failed here, what was done, what is to be told.

    Kept > Order > tasks, one image for one ECU each, in the order in which they are activated

Rule 1: all of it is one record, replaced in one transaction: no two parts of it can disagree.
Rule 2: a mark says what was done; PREPARING and ACTIVATING say that it may have been done.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from edge_agent.updates.life import Step
from fairway.update import Fault, Stage, UpdateEvent
from ota.manifest import Source
from ota.report import Installed
from ota.trust.model import Assigned, Attack

# Of each the newest are kept.
BAD_MAX = 64
DONE_MAX = 16
EVENTS_MAX = 1000
SENTENCE_MAX_CHARS = 500
LOG_MAX_CHARS = 16_384


class Mark(StrEnum):
    """How far an image of an order is."""

    NONE = "none"
    FETCHED = "fetched"
    VERIFIED = "verified"
    PREPARING = "preparing"
    PREPARED = "prepared"
    ACTIVATING = "activating"
    ACTIVE = "active"
    COMMITTED = "committed"
    BACK = "back"


_REACHED = (
    Mark.NONE,
    Mark.FETCHED,
    Mark.VERIFIED,
    Mark.PREPARING,
    Mark.PREPARED,
    Mark.ACTIVATING,
    Mark.ACTIVE,
    Mark.COMMITTED,
)


class Consent(StrEnum):
    """What the driver said."""

    NONE = "none"  # not asked, or not answered yet
    ACCEPTED = "accepted"
    DECLINED = "declined"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Task:
    """One image for one ECU."""

    assigned: Assigned
    source: Source  # how its bytes are had
    before_sha256: str = ""  # what the ECU held; "": it did not say
    mark: Mark = Mark.NONE
    is_single_bank: bool = False  # what it runs is overwritten: it comes last

    def has(self, mark: Mark) -> bool:
        """Whether `mark` was reached, and it has not gone back since."""
        return self.mark is not Mark.BACK and _REACHED.index(self.mark) >= _REACHED.index(mark)


@dataclass(frozen=True, slots=True)
class Order:
    """An order under way."""

    action: str
    token: str  # its name in files and slots
    director_version: int
    tasks: tuple[Task, ...]
    step: Step = Step.FETCH
    since_ns: int = 0  # when it was taken (wall)
    starts: int = 0  # of the agent, in steps from PREPARE on, or on the way back
    boot_id: str = ""  # of the boot that asked for another
    needs_restart: bool = False
    spent_bytes: int = 0  # over metered links
    touched: bool = False  # something new was, or may have been, in force
    consent: Consent = Consent.NONE
    postponed_until_ns: int = 0
    fault: Fault | None = None
    sentence: str = ""
    log: str = ""
    ecu: str = ""  # the serial of the one that failed

    @property
    def needs_consent(self) -> bool:
        """Whether the driver is to be asked."""
        return any(one.assigned.image.install.needs_consent for one in self.tasks)


@dataclass(frozen=True, slots=True)
class Bad:
    """An image that failed in an ECU of this vehicle."""

    serial: str
    sha256: str
    version: str
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """An order that is over."""

    action: str
    director_version: int
    stage: Stage
    time_ns: int
    fault: Fault | None = None
    sentence: str = ""
    log: str = ""
    ecu: str = ""
    versions: tuple[str, ...] = ()  # "gateway 1.4.0", one each


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept."""

    order: Order | None = None
    bad: tuple[Bad, ...] = ()
    done: tuple[Done, ...] = ()  # the newest last
    events: tuple[UpdateEvent, ...] = ()  # not told yet
    sequence: int = 0  # of the newest event
    is_report_due: bool = True  # what the vehicle holds may be news to the cloud
    installed: dict[str, Installed] = field(default_factory=dict)  # by serial, as committed
    reports: int = 0  # the counter of the newest report
    attacks: tuple[Attack, ...] = ()  # noticed since the last report
    notice: int = 0  # the newest that was heeded
    url: str = ""  # of the door, as the cloud said last

    def bad_of(self, serial: str, sha256: str) -> Bad | None:
        """Return why an image is not tried again in an ECU, None when it may be."""
        for one in self.bad:
            if one.serial == serial and one.sha256 == sha256:
                return one
        return None
