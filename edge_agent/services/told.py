"""How a service stands, in Ankaios' words and one sentence more.

Rule 1: a state is that of the version that others see; what a change does beside it is in the sentence.
"""

from edge_agent.services import change
from edge_agent.services.life import Life, Up
from edge_agent.services.plan import View, how_it_ended
from edge_agent.services.records import Phase, Record, instance_id
from edge_agent.services.restart import restarts
from fairway.clock import NS_PER_S
from fairway.services.model import Condition, Restart, Service
from fairway.services.states import State, Sub

_DOING = {
    Phase.FETCH: "is fetched",
    Phase.BESIDE: "proves itself beside it",
    Phase.STOP_OLD: "starts when this one has ended",
    Phase.PROVE: "proves itself",
    Phase.RETIRE: "is in force, the old one ends",
    Phase.ROLL_BACK: "failed and ends",
}


def state(view: View, why: str) -> tuple[State, Sub, str]:
    """Return state, sub-state and a sentence; `why` is what it waits for, as decided."""
    service = change.in_force(view.record)
    is_coming = service is None and view.record.change is not None
    if is_coming and view.record.change is not None:
        service = view.record.change.target
    life = view.life(instance_id(service)) if service else Life()
    is_held = view.wanted is None or bool(view.hold)
    if is_held:
        return _held(view, why)
    if service is None:
        return State.PENDING, Sub.INITIAL, why
    said_state, said_sub, said = _running(service, life, view.now_ns, why)
    return said_state, said_sub, _with_change(view.record, said, why)


def _held(view: View, why: str) -> tuple[State, Sub, str]:
    there = [life for life in view.lives.values() if life.is_there]
    if not there:
        return (State.REMOVED if view.wanted is None else State.NOT_SCHEDULED), Sub.NONE, view.hold
    if any(life.up is Up.STOPPING for life in there):
        return State.STOPPING, Sub.STOPPING, view.hold
    if any(life.error for life in there):
        return State.STOPPING, Sub.DELETE_FAILED, next(life.error for life in there if life.error)
    if view.stop_waits:
        return State.STOPPING, Sub.WAITING_TO_STOP, view.stop_waits
    return State.STOPPING, Sub.REQUESTED_AT_RUNTIME, why or view.hold


def _running(service: Service, life: Life, now_ns: int, why: str) -> tuple[State, Sub, str]:
    match life.up:
        case Up.RUNNING:
            unready = "" if life.is_ready else "it runs and is not ready yet"
            return (
                State.RUNNING,
                Sub.OK,
                f"it is ended: {life.sickness}" if life.is_sick else unready,
            )
        case Up.STARTING | Up.PREPARING:
            return State.PENDING, Sub.STARTING, why
        case Up.STOPPING:
            return State.STOPPING, Sub.STOPPING, life.sickness if life.is_sick else why
        case Up.ENDED if life.exit is not None:
            return _ended(service, life, now_ns)
        case _:
            sub = Sub.STARTING_FAILED if life.error else Sub.WAITING_TO_START
            return State.PENDING, sub, life.error or why or _again(life, now_ns)


def _ended(service: Service, life: Life, now_ns: int) -> tuple[State, Sub, str]:
    exit_ = life.exit
    assert exit_ is not None
    will = restarts(service.restart, exit_)
    sentence = how_it_ended(life) + (f"; {_again(life, now_ns)}" if will else "")
    if exit_.is_success and service.restart is not Restart.ALWAYS:
        return State.SUCCEEDED, Sub.OK, ""
    if exit_.is_success:
        return State.PENDING, Sub.WAITING_TO_START, sentence
    is_unknown = exit_.code is None and exit_.signal is None and not life.is_sick
    return State.FAILED, Sub.UNKNOWN if is_unknown else Sub.EXEC_FAILED, sentence


def _again(life: Life, now_ns: int) -> str:
    wait_s = max(life.retry_ns - now_ns, 0) / NS_PER_S
    return f"it is started again in {wait_s:.1f} s" if wait_s else "it is started again"


def _with_change(record: Record, said: str, why: str) -> str:
    moving = record.change
    if moving is None or record.good is None:
        return said or why
    doing = f"version {moving.target.version} {_DOING[moving.phase]}"
    return "; ".join(part for part in (said, doing, why if why != said else "") if part)


def met(service: Service, life: Life | None) -> frozenset[Condition]:
    """Return what others may wait for that holds of the version in force."""
    if life is None:
        return frozenset()
    if life.up is Up.RUNNING:
        is_healthy = life.is_ready and not life.is_sick
        return frozenset({Condition.RUNNING} | ({Condition.HEALTHY} if is_healthy else set()))
    if life.up is Up.ENDED and life.exit is not None:
        if life.exit.is_success:
            return frozenset({Condition.SUCCEEDED})
        if not restarts(service.restart, life.exit):
            return frozenset({Condition.FAILED})
    return frozenset()
