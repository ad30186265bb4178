"""The nouns of rollouts: what is wished, what is kept of it, and how it goes.

    a wish (which bundle, for whom, in which waves, with which gates) > approval > waves of vehicles

Rule 1: a vehicle has one turn in a rollout, a hash of both: waves are cut from vehicles in that order.
Rule 2: the last wave has everybody who is left, and whoever joins late.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairway.clock import NS_PER_S
from fairway.update import Fault, Stage
from fleet_cloud.control.targets import Target
from fleet_cloud.rollouts.life import State, WaveState
from ota.manifest import Bundle

ID_CHARACTERS = 16
# A car that is driven at weekends has had a dozen chances.
ENDS_AFTER_S = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast vehicles of a wave are offered the update, in the words of AWS IoT Jobs."""

    base_per_minute: float  # baseRatePerMinute
    increment_factor: float = 1.0  # incrementFactor: the rate is multiplied with it ...
    each_notified: int = (
        0  # rateIncreaseCriteria.numberOfNotifiedThings: ... each time that so many were offered,
    )
    each_succeeded: int = 0  # rateIncreaseCriteria.numberOfSucceededThings: or have committed
    maximum_per_minute: float = 0.0  # maximumPerMinute; 0: any


@dataclass(frozen=True, slots=True)
class Gate:
    """What a wave has to prove before the next one begins."""

    success_percent: float = 100.0  # of its vehicles that could be offered it, have committed
    failure_percent: float = (
        10.0  # of those that have ended, may have failed; more pauses the rollout
    )
    failure_sample_min: int = 10  # and only when so many have ended
    soak_s: int = 0  # how long it is watched after that
    health: str = ""  # a query over a vehicle's last values, which must be true of ...
    health_percent: float = 95.0  # ... so many of those that have committed, at the end of the soak


@dataclass(frozen=True, slots=True)
class Wave:
    """Some of the vehicles: those that a filter means, a share of the rest, or all that are left."""

    name: str
    filter: str = ""  # in the query language of targets
    percent: float | None = None  # of all vehicles that no filter means; None: all that are left
    rate: Rate | None = None  # None: all at once
    gate: Gate = Gate()


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of days in which vehicles may install, in UTC moved by an offset."""

    from_minute: int  # of the day
    to_minute: int  # not before `from_minute`: it ends on the next day
    days: frozenset[int] = frozenset(range(7))  # on which it begins; 0 is Monday
    offset_minutes: int = 0  # of the clock on the wall, before UTC


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a kind of failure is tried again, and how long is waited before: twice as long each time."""

    tries: int
    first_wait_s: int
    most_wait_s: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants rolled out."""

    name: str
    bundle: str  # the path of a target of kind bundle
    target: Target
    waves: tuple[Wave, ...]
    start_at_ns: int | None = (
        None  # it starts by itself then, once approved; None: when somebody says so
    )
    ends_after_s: int = (
        ENDS_AFTER_S  # since it was started: whoever has not finished then has expired
    )
    windows: tuple[Window, ...] = ()  # none: at any time
    retries: Mapping[Fault, Retry] = field(default_factory=dict)  # others than usual
    silent_max_s: int = 7 * 86_400  # an order of which nothing is heard for so long has failed
    needs_consent: bool = False
    is_forced: bool = True
    is_downgrade: bool = (
        False  # release counters may fall: the images carry a signed exception as well
    )
    takes_unknown: bool = False  # vehicles that never told of their ECUs are offered it, too
    approval_effect: str = ""  # on the type approval (UN R156, 7.1.2), in one sentence
    verification: str = ""  # how it was verified and validated: a reference


@dataclass(frozen=True, slots=True)
class Content:
    """What was approved: the bundle as it was then."""

    bundle: Bundle
    bundle_sha256: str
    images: tuple[tuple[str, str], ...]  # path and SHA-256 of each
    rxswin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A rollout."""

    id: str
    tenant: str
    wish: Wish
    content: Content
    state: State
    author: str
    created_time_ns: int
    changed_time_ns: int
    approved_by: str = ""
    started_time_ns: int | None = None
    why: str = ""  # it stands where it stands, in one sentence
    version: int = 1
    scanned_after: str = ""  # the last vehicle that was looked at by the scan under way
    scanned_time_ns: int = 0  # when the fleet was looked through last; 0: not yet
    safety: str = ""  # a vehicle's failure that stops everything, as soon as it is heard

    @property
    def name(self) -> str:
        """As people call it."""
        return self.wish.name

    @property
    def ends_time_ns(self) -> int | None:
        """When it ends by itself; None: it has not begun."""
        if self.started_time_ns is None:
            return None
        return self.started_time_ns + self.wish.ends_after_s * NS_PER_S


@dataclass(frozen=True, slots=True)
class WaveKept:
    """How a wave stands."""

    number: int  # from 0
    state: WaveState = WaveState.SCHEDULED
    opened_time_ns: int = 0
    soaking_time_ns: int = 0
    ended_time_ns: int = 0
    paced_time_ns: int = 0  # until when its rate has been used up
    why: str = ""
    forgiven_done: int = 0  # of those that had ended when somebody resumed it,
    forgiven_failed: int = 0  # so many had failed
    is_forgiven: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """How many vehicles of a wave stand where."""

    planned: int = 0  # their turn is to come, or to come again
    held: int = 0  # planned, and nothing can be offered to them: see why
    open: int = 0  # hold an order
    committed: int = 0
    failed: int = 0  # rolled back ones, too
    declined: int = 0  # the driver said no, or it was taken back
    expired: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.able + self.held + self.declined + self.expired

    @property
    def able(self) -> int:
        """Those that success is a share of."""
        return self.planned + self.open + self.committed + self.failed

    @property
    def done(self) -> int:
        """Those in which it came to an end that says something about the software."""
        return self.committed + self.failed

    @property
    def notified(self) -> int:
        """Those that were offered it."""
        return self.open + self.done + self.declined


@dataclass(frozen=True, slots=True)
class VehicleKept:
    """How the update stands in one vehicle."""

    vehicle: str
    rollout: str
    wave: int
    stage: Stage
    attempt: int = 1
    not_before_ns: int = 0  # when it is tried again
    offered_time_ns: int = 0
    changed_time_ns: int = 0
    sequence: int = -1  # of the event that brought it here; -1: none did
    fault: Fault | None = None
    sentence: str = ""
    held: str = ""  # why nothing can be offered to it now

    @property
    def action(self) -> str:
        """By what the vehicle knows its order."""
        return action_of(self.rollout, self.attempt)


def action_of(rollout: str, attempt: int) -> str:
    """Return the name of an order: the same for all vehicles of a rollout that try as often."""
    return f"{rollout}-{attempt}"


def rollout_of(action: str) -> tuple[str, int]:
    """Return rollout and attempt of an order; ("", 0) for none of ours."""
    rollout, _, attempt = action.rpartition("-")
    is_ours = len(rollout) == ID_CHARACTERS and attempt.isdecimal() and attempt.isascii()
    return (rollout, int(attempt)) if is_ours and len(attempt) < 10 else ("", 0)


def turn_of(rollout: str, vehicle: str) -> int:
    """Return when a vehicle's turn comes: a number of 62 bits."""
    said = hashlib.blake2b(f"{rollout}\0{vehicle}".encode(), digest_size=8).digest()
    return int.from_bytes(said) >> 2
