"""What happens to a rollout now: decide(rollout, facts, time) -> acts.

    READY --its time has come--> START
    RUNNING --a safety failure--> STOP      --too many failures--> FAIL the wave, and pause
            --the wave has proved itself--> SOAK --> PASS --> OPEN the next      --all is over--> FINISH

Rule 1: this file does no I/O and asks no clock; whoever acts on it does so in one transaction for each act,
and asks again: the same question gives the same answer until something has changed.
Rule 2: what stops comes before what goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fairway.clock import NS_PER_S
from fleet_cloud.rollouts.life import State, WaveState
from fleet_cloud.rollouts.model import Counts, Kept, Wave, WaveKept
from fleet_cloud.rollouts.waves import allowance

# How often a fleet is looked through for vehicles that joined late.
SCAN_EVERY_NS = 600 * NS_PER_S


class Do(StrEnum):
    """What is to be done."""

    START = "start"
    SCAN = "scan"  # look through the fleet for vehicles that are meant
    OPEN = "open"  # a wave
    OFFER = "offer"  # the update to some of a wave
    SOAK = "soak"
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"  # a wave: the rollout pauses
    TIME_OUT = "time_out"  # orders of which nothing is heard any more
    STOP = "stop"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do."""

    do: Do
    wave: int = -1
    count: int | None = None  # OFFER: how many at most; None: all that are planned
    paced_time_ns: int = 0  # OFFER: until when that uses the wave's rate up
    why: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How vehicles do that have committed, by the wave's query over their last values."""

    well: int
    ill: int
    unknown: int = 0  # nothing new was heard of them since

    @property
    def known(self) -> int:
        """Those of which something is known."""
        return self.well + self.ill


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a rollout's vehicles."""

    counts: Mapping[int, Counts] = field(default_factory=dict)  # by wave
    is_silent: bool = False  # there are orders of which nothing was heard for too long
    health: Health | None = None  # of the wave that is soaking; None: nobody asked


def wants_health(kept: Kept, waves: Sequence[WaveKept], now_ns: int) -> int | None:
    """Return the wave whose health has to be known now."""
    for one in waves:
        gate = kept.wish.waves[one.number].gate
        is_soaked = now_ns - one.soaking_time_ns >= gate.soak_s * NS_PER_S
        if one.state is WaveState.SOAKING and gate.health and is_soaked:
            return one.number
    return None


def decide(kept: Kept, waves: Sequence[WaveKept], facts: Facts, now_ns: int) -> tuple[Act, ...]:
    """Return what is to be done now, nothing when it is to be waited."""
    match kept.state:
        case State.READY:
            at_ns = kept.wish.start_at_ns
            is_due = at_ns is not None and now_ns >= at_ns
            return (Act(Do.START, why="its time has come"),) if is_due else ()
        case State.RUNNING | State.PAUSED:
            return _ending(kept, now_ns) or _begun(kept, waves, facts, now_ns)
        case _:
            return ()


def _ending(kept: Kept, now_ns: int) -> tuple[Act, ...]:
    if kept.safety:
        return (Act(Do.STOP, why=kept.safety),)
    if kept.ends_time_ns is not None and now_ns >= kept.ends_time_ns:
        why = "its time is over: who has not installed it by now has expired"
        return (Act(Do.FINISH, why=why),)
    return ()


def _begun(kept: Kept, waves: Sequence[WaveKept], facts: Facts, now_ns: int) -> tuple[Act, ...]:
    silent = (Act(Do.TIME_OUT),) if facts.is_silent else ()
    if kept.state is State.PAUSED:
        return silent
    if kept.scanned_after or now_ns - kept.scanned_time_ns >= SCAN_EVERY_NS:
        return (*silent, Act(Do.SCAN))
    return (*silent, *_running(kept, waves, facts, now_ns))


def _running(kept: Kept, waves: Sequence[WaveKept], facts: Facts, now_ns: int) -> tuple[Act, ...]:
    for one in waves:
        counts = facts.counts.get(one.number, Counts())
        why = too_many_failures(kept.wish.waves[one.number], one, counts)
        if one.state.is_open and why:
            return (Act(Do.FAIL, one.number, why=why),)
    offers = tuple(
        act
        for one in waves
        if one.state.is_open and (act := _offer(kept, one, facts, now_ns)) is not None
    )
    current = next((one for one in waves if one.state is not WaveState.PASSED), None)
    if current is None:
        is_over = not any(one.planned or one.open for one in facts.counts.values())
        return offers or ((Act(Do.FINISH, why="all its vehicles are done"),) if is_over else ())
    step = _step(kept, current, facts, now_ns)
    return (*offers, step) if step else offers


def _step(kept: Kept, one: WaveKept, facts: Facts, now_ns: int) -> Act | None:
    wave = kept.wish.waves[one.number]
    match one.state:
        case WaveState.SCHEDULED:
            return Act(Do.OPEN, one.number)
        case WaveState.OFFERING:
            return _offered(wave, one, facts.counts.get(one.number, Counts()))
        case WaveState.SOAKING:
            return _soaked(wave, one, facts, now_ns)
        case _:  # a rollout is not running while a wave has failed
            return None


def _offered(wave: Wave, one: WaveKept, counts: Counts) -> Act | None:
    if counts.able == 0:
        return _nobody(wave, one, counts)
    needed = counts.able * wave.gate.success_percent / 100
    if counts.committed >= needed:
        return Act(Do.SOAK, one.number)
    if counts.committed + counts.open + counts.planned < needed:
        if one.is_forgiven:
            return Act(Do.PASS, one.number, why="somebody resumed it knowing who failed")
        why = (
            f"{counts.failed} of {counts.able} vehicles of {wave.name} failed: "
            f"{wave.gate.success_percent:g} % cannot be reached any more"
        )
        return Act(Do.FAIL, one.number, why=why)
    return None


def _nobody(wave: Wave, one: WaveKept, counts: Counts) -> Act:
    if one.is_forgiven or (not wave.filter and not counts.held):
        return Act(Do.PASS, one.number, why=f"nobody is left in {wave.name}")
    if counts.held:
        why = f"none of the {counts.held} vehicles of {wave.name} can be offered it: see why in its vehicles"
    else:
        why = f"no vehicle is in {wave.name}: its filter means nobody"
    return Act(Do.FAIL, one.number, why=why)


def _soaked(wave: Wave, one: WaveKept, facts: Facts, now_ns: int) -> Act | None:
    gate = wave.gate
    if now_ns - one.soaking_time_ns < gate.soak_s * NS_PER_S:
        return None
    if not gate.health:
        return Act(Do.PASS, one.number)
    health = facts.health
    if health is None or not health.known:
        return None  # telemetry has not said anything yet: silence is no health
    share = 100 * health.well / health.known
    if share >= gate.health_percent:
        return Act(Do.PASS, one.number)
    why = f"{health.ill} of {health.known} vehicles of {wave.name} are not well: {gate.health}"
    return Act(Do.FAIL, one.number, why=why)


def _offer(kept: Kept, one: WaveKept, facts: Facts, now_ns: int) -> Act | None:
    counts = facts.counts.get(one.number, Counts())
    if not counts.planned:
        return None
    count, paced_ns = allowance(kept.wish.waves[one.number].rate, one, counts, now_ns)
    return None if count == 0 else Act(Do.OFFER, one.number, count, paced_ns)


def too_many_failures(wave: Wave, one: WaveKept, counts: Counts) -> str:
    """Return why a wave must not go on for its failures; "": it may."""
    done, failed = counts.done - one.forgiven_done, counts.failed - one.forgiven_failed
    gate = wave.gate
    if done < gate.failure_sample_min or failed * 100 <= gate.failure_percent * done:
        return ""
    return (
        f"{failed} of {done} vehicles of {wave.name} failed, more than {gate.failure_percent:g} %:"
        " see why in its vehicles, then resume or stop it"
    )
