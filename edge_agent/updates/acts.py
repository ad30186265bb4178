"""What is to be done next for an order, and what the order is after it was done: plain functions.

    next_act(order) > begun(order, act): durable > the act > after(order, act, outcome): durable > next_act ...

Rule 1: an act is done only when its intent is durable, and believed only when its result is.
Rule 2: every act may come again after a power cut; the installers' contract says the same.
Rule 3: nothing new is activated before all is prepared, nothing committed before all is well.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from edge_agent.updates.life import HARMLESS, Event, Step, moved
from edge_agent.updates.order import LOG_MAX_CHARS, SENTENCE_MAX_CHARS, Mark, Order, Task
from fairway.update import Fault

# An agent that is started so often in one order is in a loop.
STARTS_MAX = 28
# Fetching may take many drives, and what is begun goes on.
FETCH_STARTS_MAX = 1000


class Do(StrEnum):
    """What an act is."""

    FETCH = "fetch"
    VERIFY = "verify"
    WAIT = "wait"  # until the conditions are met
    PREPARE = "prepare"
    ACTIVATE = "activate"
    RESTART = "restart"
    LOOK = "look"  # how all of it does
    COMMIT = "commit"
    ROLLBACK = "rollback"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done; `task` is the place of the image in the order, -1: all of it."""

    do: Do
    task: int = -1


@dataclass(frozen=True, slots=True)
class Good:
    """It was done."""

    needs_restart: bool = False
    taken_bytes: int = 0  # over a metered link


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be done."""

    fault: Fault
    sentence: str
    ecu: str = ""
    log: str = ""


Outcome = Good | Failed

# In a step: what is done for each image, until which mark, and what follows when all have it.
_FOR_EACH: dict[Step, tuple[Do, Mark]] = {
    Step.FETCH: (Do.FETCH, Mark.FETCHED),
    Step.VERIFY_IMAGES: (Do.VERIFY, Mark.VERIFIED),
    Step.PREPARE: (Do.PREPARE, Mark.PREPARED),
    Step.ACTIVATE: (Do.ACTIVATE, Mark.ACTIVE),
    Step.COMMIT: (Do.COMMIT, Mark.COMMITTED),
}
_ALL: dict[Step, Event] = {
    Step.FETCH: Event.ALL_FETCHED,
    Step.VERIFY_IMAGES: Event.ALL_VERIFIED,
    Step.PREPARE: Event.ALL_PREPARED,
    Step.ACTIVATE: Event.ALL_ACTIVE,
    Step.COMMIT: Event.ALL_COMMITTED,
}
_INTENTS = {Do.PREPARE: Mark.PREPARING, Do.ACTIVATE: Mark.ACTIVATING}
_FOR_ALL: dict[Step, Do] = {
    Step.WAIT_CONDITIONS: Do.WAIT,
    Step.RESTART: Do.RESTART,
    Step.RESTART_BACK: Do.RESTART,
    Step.HEALTH: Do.LOOK,
    Step.REPORT: Do.REPORT,
}


def next_act(order: Order, *, may_activate: bool = True) -> Act:
    """Return what is to be done; `may_activate`: the conditions are met at this moment."""
    step = order.step
    if step in _FOR_ALL:
        return Act(_FOR_ALL[step])
    if step is Step.ROLLBACK:
        left = list(_to_bring_back(order))
        return Act(Do.ROLLBACK, left[0]) if left else Act(Do.RESTART)
    do, mark = _FOR_EACH[step]
    untouched = not any(one.has(Mark.ACTIVATING) for one in order.tasks)
    if step is Step.ACTIVATE and untouched and not may_activate:
        return Act(Do.WAIT)
    for number, task in enumerate(order.tasks):
        if not task.has(mark):
            return Act(do, number)
    return Act(Do.RESTART)  # only COMMIT gets here: some slot has to be started once more


def _to_bring_back(order: Order) -> Iterator[int]:
    """Yield the places of what was touched, the last one first."""
    for number in reversed(range(len(order.tasks))):
        if order.tasks[number].has(Mark.PREPARING):
            yield number


def begun(order: Order, act: Act, *, boot_id: str = "") -> Order:
    """Return the order with the intent of an act."""
    if act.do is Do.RESTART:
        return order if order.boot_id else replace(order, boot_id=boot_id)
    mark = _INTENTS.get(act.do)
    if mark is None:
        return order
    touched = order.touched or act.do is Do.ACTIVATE
    return replace(_marked(order, act.task, mark), touched=touched)


def after(order: Order, act: Act, outcome: Outcome) -> Order:
    """Return the order after an act."""
    if isinstance(outcome, Failed):
        return _failed(order, act, outcome)
    order = replace(
        order,
        needs_restart=order.needs_restart or outcome.needs_restart,
        spent_bytes=order.spent_bytes + outcome.taken_bytes,
    )
    match act.do:
        case Do.WAIT if order.step is Step.WAIT_CONDITIONS:
            order = _to(order, Event.READY)
        case Do.LOOK:
            order = _to(order, Event.WELL)
        case Do.RESTART:
            order = restarted(order)
        case Do.ROLLBACK:
            order = _after_rollback(_marked(order, act.task, Mark.BACK))
        case Do.FETCH | Do.VERIFY | Do.PREPARE | Do.ACTIVATE | Do.COMMIT:
            order = _after_one(order, act)
    return order


def _after_one(order: Order, act: Act) -> Order:
    _, mark = _FOR_EACH[order.step]
    order = _marked(order, act.task, mark)
    if not all(one.has(mark) for one in order.tasks):
        return order
    if order.step in (Step.ACTIVATE, Step.COMMIT) and order.needs_restart:
        return _to(order, Event.NEEDS_RESTART)
    return _to(order, _ALL[order.step])


def restarted(order: Order) -> Order:
    """Return the order after the vehicle was started anew, as had been asked for."""
    order = replace(order, needs_restart=False, boot_id="")
    if order.step is Step.COMMIT:
        return _remarked(order, lambda _: Mark.ACTIVE)
    if order.step is Step.RESTART_BACK:
        # Each is asked once more, now that the old one runs.
        order = _remarked(order, lambda one: Mark.PREPARING if one.mark is Mark.BACK else one.mark)
    return _to(order, Event.RESTARTED)


def resumed(order: Order, boot_id: str) -> Order:
    """Return the order as an agent that has just started takes it up."""
    if order.boot_id and order.boot_id != boot_id:
        order = restarted(order)
    if order.step in (Step.REPORT, Step.WAIT_CONDITIONS):
        return order  # a parked vehicle may be started for weeks before it may install
    order = replace(order, starts=order.starts + 1)
    if order.starts <= (FETCH_STARTS_MAX if order.step is Step.FETCH else STARTS_MAX):
        return order
    why = f"the agent was started {order.starts} times while this update was in {order.step}"
    fault = Fault.INSTALL if order.step not in HARMLESS else Fault.STORAGE
    if order.step in (Step.ROLLBACK, Step.RESTART_BACK, Step.COMMIT):
        fault, why = Fault.SAFETY, f"{why}: it is neither wholly old nor wholly new"
    return _to(_blamed(order, Failed(fault, why)), Event.LOOPING)


def cancelled(order: Order, why: str) -> Order:
    """Return the order after it was taken back, the same order when it is too late for that."""
    if order.step not in HARMLESS:
        return order
    return _to(_blamed(order, Failed(Fault.CANCELLED, why)), Event.FAILED)


def _failed(order: Order, act: Act, why: Failed) -> Order:
    if act.task >= 0 and not why.ecu:
        why = replace(why, ecu=order.tasks[act.task].assigned.ecu.serial)
    return _to(_blamed(order, why), Event.FAILED)


def _blamed(order: Order, why: Failed) -> Order:
    """Return the order with what went wrong; what went wrong first is what counts."""
    if order.fault is not None:
        return order if why.fault is not Fault.SAFETY else replace(order, fault=why.fault)
    return replace(
        order,
        fault=_weighed(order, why),
        sentence=why.sentence[:SENTENCE_MAX_CHARS],
        log=why.log[-LOG_MAX_CHARS:],
        ecu=why.ecu,
    )


def _weighed(order: Order, why: Failed) -> Fault:
    """A failure in what matters for safety stops a rollout at once, if it is one of the new version's."""
    if why.fault not in (Fault.INSTALL, Fault.HEALTH, Fault.TIME):
        return why.fault
    blamed = [one for one in order.tasks if why.ecu in ("", one.assigned.ecu.serial)]
    is_safety = any(one.assigned.image.install.is_safety for one in blamed)
    return Fault.SAFETY if is_safety else why.fault


def _after_rollback(order: Order) -> Order:
    if next(_to_bring_back(order), None) is not None:
        return order
    return _to(order, Event.NEEDS_RESTART if order.needs_restart else Event.ALL_BACK)


def _to(order: Order, event: Event) -> Order:
    step = moved(order.step, event)
    if step is Step.ROLLBACK and order.step is not Step.RESTART_BACK:
        # The way back has starts of its own, and nobody waits for a restart of the way there.
        order = replace(order, starts=0, needs_restart=False, boot_id="")
    if step is Step.ROLLBACK and next(_to_bring_back(order), None) is None:
        step = Step.REPORT
    if step is not order.step and step in (Step.VERIFY_IMAGES, Step.PREPARE, Step.COMMIT):
        order = replace(order, starts=0)
    return replace(order, step=step)


def _marked(order: Order, number: int, mark: Mark) -> Order:
    tasks = list(order.tasks)
    tasks[number] = replace(tasks[number], mark=mark)
    return replace(order, tasks=tuple(tasks))


def _remarked(order: Order, mark: Callable[[Task], Mark]) -> Order:
    return replace(order, tasks=tuple(replace(one, mark=mark(one)) for one in order.tasks))
