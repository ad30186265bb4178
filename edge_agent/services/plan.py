"""What is to be done for one service now: wanted state and what was seen > a new record, or steps.

    decide(view) -> Decision(record)        it differs: make it durable, decide again; nothing is done before
                 -> Decision(steps, wake)   it does not: do the steps; decide again when something happened

Rule 1: no step is given for what is being done already: whoever does it reports first.
Rule 2: what is not to run is stopped; what is to run and does not is prepared, then started; of the way there
        nothing is remembered but the record, so a power cut needs no special case.
Rule 3: nothing is given up for a version that failed as long as there is no other to go back to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_agent.services import change
from edge_agent.services.change import Event
from edge_agent.services.life import Life, Up
from edge_agent.services.records import Phase, Record, instance_id
from edge_agent.services.restart import HEALTHY_S, LOOP_FAILURES, restarts, told
from fairway.clock import NS_PER_S
from fairway.services.model import How, Restart, Service

# What says nothing about its readiness has to run for so long before it counts as proven.
SOAK_LEAST_S = 1.0
# A version that failed is given no more time than this to end: the good one waits for its place.
ROLL_BACK_GRACE_S = 0.3
_ABSENT = Life()
_NEVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Prepare:
    """Have the image of a version ready."""

    service: Service


@dataclass(frozen=True, slots=True)
class Start:
    """Start a version."""

    service: Service


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an instance; `is_sick`: it is to be started anew, as its restart policy says."""

    id: str
    grace_s: float
    is_sick: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget a service of which nothing is left."""


Step = Prepare | Start | Stop | Forget


@dataclass(frozen=True, slots=True)
class View:
    """Everything that decides about one service."""

    wanted: Service | None  # None: it was taken back
    hold: str  # why it is not to run now; "" when it is
    record: Record
    lives: Mapping[str, Life]  # of its instances, by id
    prepared: frozenset[str]  # instances whose image is ready
    entered_ns: int  # when this agent found, or brought, the change into its phase
    waits: Callable[[Service], str]  # for other services, before it starts
    stop_waits: str  # for other services, before it stops
    now_ns: int  # monotonic

    def life(self, id_: str) -> Life:
        """Return the life of an instance."""
        return self.lives.get(id_, _ABSENT)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done."""

    record: Record
    steps: tuple[Step, ...] = ()
    wake_ns: int | None = None  # decide again then, if nothing happens before
    why: str = ""  # what it waits for, in a sentence


def decide(view: View) -> Decision:
    """Return what is to be done for one service."""
    if view.wanted is None:
        return _removal(view)
    if not view.hold:
        record = _next(view, view.wanted)
        if record is not view.record:
            return Decision(record)
    return _steps(view)


# the record


def _next(view: View, wanted: Service) -> Record:
    """Return the record after the event that is due, the same one when none is."""
    record, moving = view.record, view.record.change
    if not record.is_seasoned and _seasoned_ns(view) <= view.now_ns:
        return change.seasoned(record)
    if moving is None:
        return _next_idle(view, wanted)
    phase, is_other = moving.phase, instance_id(moving.target) != instance_id(wanted)
    if is_other and phase not in (Phase.RETIRE, Phase.ROLL_BACK):
        return change.moved(record, Event.WITHDRAWN)
    if phase is Phase.FETCH:
        return _fetched(view)
    if phase in change.PROVING:
        return _judged(view, moving.target)
    ending, event = {
        Phase.STOP_OLD: (record.good, Event.OLD_GONE),
        Phase.RETIRE: (record.previous, Event.OLD_GONE),
        Phase.ROLL_BACK: (moving.target, Event.NEW_GONE),
    }[phase]
    is_there = ending is not None and view.life(instance_id(ending)).is_there
    return record if is_there else change.moved(record, event)


def _judged(view: View, target: Service) -> Record:
    """Return the record after a new version has proven itself, or failed."""
    record, life = view.record, view.life(instance_id(target))
    if proven_ns(view, target, life) <= view.now_ns:
        return change.moved(record, Event.PROVED)
    why = _failure(view, target, life)
    if why and record.good is not None:
        return change.moved(record, Event.FAILED, why=why)
    return record


def _seasoned_ns(view: View) -> int:
    """Return when the version in force has been well for a while, if nothing happens."""
    good, phase = view.record.good, change.phase_of(view.record)
    if good is None or phase not in (None, Phase.FETCH):
        return _NEVER_NS
    life = view.life(instance_id(good))
    if life.up is not Up.RUNNING or not life.is_ready:
        return _NEVER_NS
    return life.ready_ns + round(HEALTHY_S * NS_PER_S)


def _next_idle(view: View, wanted: Service) -> Record:
    record, good = view.record, view.record.good
    id_ = instance_id(wanted)
    if good is None or (id_ != instance_id(good) and not record.is_bad(id_)):
        return change.moved(record, Event.WANTED, target=wanted)
    before, life = record.previous, view.life(instance_id(good))
    can_go_back = before is not None and not record.is_bad(instance_id(before))
    if can_go_back and life.failures >= LOOP_FAILURES and not life.is_ready:
        return change.moved(record, Event.LOOPING, why=f"it failed {life.failures} times in a row")
    return record


def _fetched(view: View) -> Record:
    record, moving = view.record, view.record.change
    assert moving is not None
    if instance_id(moving.target) not in view.prepared or view.waits(moving.target):
        return record
    if record.good is None:
        return change.moved(record, Event.GO_ALONE)
    is_beside = moving.target.change.how is How.BESIDE
    return change.moved(record, Event.GO_BESIDE if is_beside else Event.GO_AFTER)


def proven_ns(view: View, service: Service, life: Life) -> int:
    """Return when a new version counts as proven if nothing happens: far away unless it is ready."""
    if life.up is Up.ENDED and life.exit is not None and life.exit.is_success:
        # A task that is done has shown all that it can.
        return view.now_ns if service.restart is not Restart.ALWAYS else _NEVER_NS
    if life.up is not Up.RUNNING or not life.is_ready or life.is_sick:
        return _NEVER_NS
    health = service.health
    soak_s = health.soak_s if health.readiness else max(health.soak_s, SOAK_LEAST_S)
    return life.ready_ns + round(soak_s * NS_PER_S)


def _failure(view: View, service: Service, life: Life) -> str:
    """Return why a new version failed, "" while it may still prove itself."""
    if life.is_hopeless:
        return life.error
    if life.failures >= LOOP_FAILURES:
        return f"it failed {life.failures} times in a row: {how_it_ended(life)}"
    ended = life.exit if life.up is Up.ENDED else None
    if ended is not None and not restarts(service.restart, ended):
        return how_it_ended(life)
    if view.now_ns < _deadline_ns(view, service) or life.is_ready:
        return ""
    reason = life.error or life.sickness or (how_it_ended(life) if life.exit else "")
    late = f"it was not ready within {service.health.within_s:g} s"
    return f"{late}: {reason}" if reason else late


def how_it_ended(life: Life) -> str:
    """Return in words how an instance ended, or why it was not even started."""
    if life.is_sick:
        return f"its liveness failed: {life.sickness}"
    if life.error or life.exit is None:
        return life.error
    return told(life.exit)


def _deadline_ns(view: View, service: Service) -> int:
    return view.entered_ns + round(service.health.within_s * NS_PER_S)


# the steps


def _steps(view: View) -> Decision:
    """Return the steps from what is there to what the record says."""
    record = view.record
    wanted_up = () if view.hold else change.runs(record)
    up_ids = {instance_id(one): one for one in wanted_up}
    steps: list[Step] = []
    wakes: list[int] = []
    whys: list[str] = []
    for id_, life in view.lives.items():
        if id_ not in up_ids:
            _end(view, id_, life, steps, wakes)
    whys += [_keep_up(view, service, steps, wakes) for service in wanted_up]
    moving = record.change
    if moving is not None and not view.hold:
        if moving.phase is Phase.FETCH:
            whys.append(_fetch(view, moving.target, steps, wakes))
        elif moving.phase in change.PROVING:
            life = view.life(instance_id(moving.target))
            wakes += [_deadline_ns(view, moving.target), proven_ns(view, moving.target, life)]
    if not record.is_seasoned:
        wakes.append(_seasoned_ns(view))
    later = [one for one in wakes if view.now_ns < one < _NEVER_NS]
    why = view.hold or next((one for one in reversed(whys) if one), "")
    return Decision(record, tuple(steps), min(later, default=None), why)


def _end(view: View, id_: str, life: Life, steps: list[Step], wakes: list[int]) -> None:
    """Stop an instance that is not to run."""
    if life.is_there and not life.is_busy and not (view.stop_waits and view.hold):
        _stop(view, Stop(id_, _grace_s(view, id_)), life, steps, wakes)


def _stop(view: View, stop: Stop, life: Life, steps: list[Step], wakes: list[int]) -> None:
    if life.up is Up.RUNNING and life.error and view.now_ns < life.retry_ns:
        wakes.append(life.retry_ns)  # it could not be stopped
    else:
        steps.append(stop)


def _grace_s(view: View, id_: str) -> float:
    record = view.record
    moving = record.change
    if moving is not None and moving.phase is Phase.ROLL_BACK and instance_id(moving.target) == id_:
        return min(moving.target.stop_grace_s, ROLL_BACK_GRACE_S)
    known = (record.good, record.previous, moving.target if moving else None)
    return next(
        (one.stop_grace_s for one in known if one and instance_id(one) == id_),
        Service(name="x", version="1").stop_grace_s,
    )


def _keep_up(view: View, service: Service, steps: list[Step], wakes: list[int]) -> str:
    """Have a version run; return what it waits for."""
    id_ = instance_id(service)
    life = view.life(id_)
    if life.up is Up.RUNNING and life.is_sick:
        _stop(view, Stop(id_, service.stop_grace_s, is_sick=True), life, steps, wakes)
    is_done = life.up is Up.ENDED and life.exit and not restarts(service.restart, life.exit)
    if life.up is Up.RUNNING or life.is_busy or is_done:
        return ""
    if view.now_ns < life.retry_ns:
        wakes.append(life.retry_ns)
        return life.error
    if id_ not in view.prepared:
        steps.append(Prepare(service))
        return life.error
    waits = view.waits(service)
    if service.change.how is How.AFTER and _other_is_there(view, id_):
        waits = "it starts when the other version has ended"
    if not waits:
        steps.append(Start(service))
    return waits


def _fetch(view: View, target: Service, steps: list[Step], wakes: list[int]) -> str:
    """Have the image of a new version ready; return what the change waits for."""
    id_ = instance_id(target)
    life = view.life(id_)
    if id_ in view.prepared or life.is_busy:
        return view.waits(target)
    if view.now_ns < life.retry_ns:
        wakes.append(life.retry_ns)
    else:
        steps.append(Prepare(target))
    return life.error


def _other_is_there(view: View, id_: str) -> bool:
    return any(life.is_there for other, life in view.lives.items() if other != id_)


def _removal(view: View) -> Decision:
    """Return the steps for a service that nobody wants any more."""
    there = {id_: life for id_, life in view.lives.items() if life.is_there or life.is_busy}
    if not there:
        return Decision(view.record, (Forget(),))
    if view.stop_waits:
        return Decision(view.record, why=view.stop_waits)
    steps: list[Step] = []
    wakes: list[int] = []
    for id_, life in there.items():
        _end(view, id_, life, steps, wakes)
    return Decision(view.record, tuple(steps), min(wakes, default=None))
