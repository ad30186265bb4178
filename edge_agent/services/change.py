"""The life of a change of one service, as a table.

                .---------------- GO_ALONE (there is no old one) ----------.
    (none) > FETCH > STOP_OLD > PROVE > (none)            after            |
               |        '---------'-> ROLL_BACK > (none)                   v
               '---> BESIDE > RETIRE > (none)             beside        PROVE
                        '-----------> ROLL_BACK > (none)

Rule 1: everything that moves a change is in MOVES, and what runs meanwhile is in RUNS.
Rule 2: a move is durable before anything is done for it: whoever starts an agent after a power cut finds the
        phase, and from the phase alone what has to run; in each it is the old version or the new one.
Rule 3: until a version has proven itself the good one stays in the record, with its whole manifest.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from edge_agent.services.records import (
    BAD_MAX,
    WHY_MAX_CHARS,
    Bad,
    Moving,
    Phase,
    Record,
    instance_id,
)
from fairway.services.model import Service

# A vehicle that went down so often while a version proved itself has reason to go back.
TRIES_MAX = 3


class Event(StrEnum):
    """What moves a change."""

    WANTED = "wanted"  # a version that is not in force
    WITHDRAWN = "withdrawn"  # something else is wanted now
    GO_ALONE = "go_alone"  # all is there that the new one needs, and no old one
    GO_AFTER = "go_after"  # all is there, the old one is to stop first
    GO_BESIDE = "go_beside"  # all is there, both may run
    OLD_GONE = "old_gone"
    PROVED = "proved"  # ready within its time, and for as long as it has to be
    FAILED = "failed"  # the new one
    NEW_GONE = "new_gone"
    LOOPING = "looping"  # the version in force crashes on and on, and there is one before it


MOVES: dict[tuple[Phase | None, Event], Phase | None] = {
    (None, Event.WANTED): Phase.FETCH,
    (None, Event.LOOPING): Phase.ROLL_BACK,
    # Until here nothing has changed, so giving up costs nothing.
    (Phase.FETCH, Event.WITHDRAWN): None,
    (Phase.FETCH, Event.GO_ALONE): Phase.PROVE,
    (Phase.FETCH, Event.GO_AFTER): Phase.STOP_OLD,
    (Phase.FETCH, Event.GO_BESIDE): Phase.BESIDE,
    # While the old one was stopping the new one may have lost what it needs.
    (Phase.STOP_OLD, Event.WITHDRAWN): Phase.ROLL_BACK,
    (Phase.STOP_OLD, Event.OLD_GONE): Phase.PROVE,
    (Phase.PROVE, Event.WITHDRAWN): Phase.ROLL_BACK,
    (Phase.PROVE, Event.FAILED): Phase.ROLL_BACK,
    # Alone it has nobody to retire.
    (Phase.PROVE, Event.PROVED): None,
    (Phase.BESIDE, Event.WITHDRAWN): Phase.ROLL_BACK,
    (Phase.BESIDE, Event.FAILED): Phase.ROLL_BACK,
    (Phase.BESIDE, Event.PROVED): Phase.RETIRE,
    (Phase.RETIRE, Event.OLD_GONE): None,
    (Phase.ROLL_BACK, Event.NEW_GONE): None,
}


@dataclass(frozen=True, slots=True)
class Runs:
    """What runs in a phase, and which of both is in force: the one that others see and may call."""

    good: bool
    target: bool
    in_force: str  # "good" or "target"


RUNS: dict[Phase | None, Runs] = {
    None: Runs(good=True, target=False, in_force="good"),
    Phase.FETCH: Runs(good=True, target=False, in_force="good"),
    Phase.BESIDE: Runs(good=True, target=True, in_force="good"),
    Phase.STOP_OLD: Runs(good=False, target=False, in_force="good"),
    Phase.PROVE: Runs(good=False, target=True, in_force="target"),
    # The new one is the good one here.
    Phase.RETIRE: Runs(good=True, target=False, in_force="good"),
    Phase.ROLL_BACK: Runs(good=True, target=False, in_force="good"),
}
# Where a new version runs and has not proven itself.
PROVING = frozenset({Phase.BESIDE, Phase.PROVE})


def phase_of(record: Record) -> Phase | None:
    """Return where a change stands, None when there is none."""
    return record.change.phase if record.change else None


def moved(record: Record, event: Event, *, target: Service | None = None, why: str = "") -> Record:
    """Return the record after `event`; `target` goes with WANTED, `why` with FAILED and LOOPING.

    Raises KeyError for an event that cannot come now: a mistake of ours.
    """
    change = record.change
    phase = MOVES[phase_of(record), event]
    if event is Event.WANTED:
        assert target is not None
        return replace(record, change=Moving(target, Phase.FETCH))
    if event is Event.LOOPING:
        assert record.good is not None
        looping = record.good
        back = replace(record, good=record.previous, previous=None, is_seasoned=True)
        return replace(_remembered(back, looping, why), change=Moving(looping, Phase.ROLL_BACK))
    assert change is not None
    if event is Event.PROVED:
        # What never was well for a while is nothing to come back to, if there is something else.
        is_worth = record.is_seasoned or record.previous is None
        previous = record.good if is_worth else record.previous
        record = replace(record, good=change.target, previous=previous, is_seasoned=False)
    if event is Event.FAILED:
        record = _remembered(record, change.target, why)
    return replace(record, change=None if phase is None else replace(change, phase=phase, tries=0))


def resumed(record: Record) -> Record:
    """Return the record as an agent that has just started takes it up: proving is tried anew so often only."""
    change = record.change
    if change is None or change.phase not in PROVING:
        return record
    if change.tries >= TRIES_MAX and record.good is not None:
        why = f"the agent was started {change.tries + 1} times while it proved itself"
        return moved(record, Event.FAILED, why=why)
    return replace(record, change=replace(change, tries=min(change.tries + 1, TRIES_MAX)))


def seasoned(record: Record) -> Record:
    """Return the record after the version in force was well for a while."""
    return replace(record, is_seasoned=True)


def forgiven(record: Record, id_: str) -> Record:
    """Return the record so that a version that failed here is tried again."""
    return replace(record, bad=tuple(one for one in record.bad if one.id != id_))


def runs(record: Record) -> tuple[Service, ...]:
    """Return the versions that are to run."""
    which = RUNS[phase_of(record)]
    good = [record.good] if which.good and record.good else []
    return (*good, *([record.change.target] if which.target and record.change else []))


def in_force(record: Record) -> Service | None:
    """Return the version that others see."""
    if record.change is not None and RUNS[record.change.phase].in_force == "target":
        return record.change.target
    return record.good


def images(record: Record) -> frozenset[str]:
    """Return the digests of the images that this service may need again."""
    target = record.change.target if record.change else None
    return frozenset(
        one.image for one in (record.good, record.previous, target) if one and one.image
    )


def _remembered(record: Record, service: Service, why: str) -> Record:
    id_ = instance_id(service)
    others = tuple(one for one in record.bad if one.id != id_)
    return replace(record, bad=(*others, Bad(id_, service.version, why[:WHY_MAX_CHARS]))[-BAD_MAX:])


def versions(record: Record) -> dict[str, Service]:
    """Return every version that a record names, by the id of its instance."""
    target = record.change.target if record.change else None
    known = (record.good, record.previous, target)
    return {instance_id(one): one for one in known if one is not None}


def told(before: Record, after: Record) -> str:
    """Return what a move is called in the log, "" for one that is not worth a line."""
    if phase_of(before) is phase_of(after):
        return ""
    if phase_of(after) is Phase.ROLL_BACK:
        return "service_rolled_back" if after.bad != before.bad else "service_change_withdrawn"
    if after.good is not before.good:
        return "service_in_force"
    return "service_change_begun" if phase_of(after) is Phase.FETCH else ""
