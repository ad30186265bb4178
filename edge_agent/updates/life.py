"""The life of an update in the vehicle, as a table.

    IDLE > CHECK > VERIFY_META > PLAN > FETCH > VERIFY_IMAGES > WAIT_CONDITIONS
         > PREPARE (all) > ACTIVATE (all) > (RESTART) > HEALTH > COMMIT (all) > REPORT > IDLE
                '------------'-------------'----------'> ROLLBACK (all) > (RESTART_BACK) > REPORT

Rule 1: everything that moves an update from one step to another is in MOVES.
Rule 2: before PREPARE nothing of the vehicle has changed: what fails there is over, and only told.
Rule 3: from PREPARE on there are two ends: COMMIT, once all are well, and ROLLBACK.  Who has written that it
        commits never rolls back, and who has written that it rolls back never commits.
Rule 4: this file does no I/O and asks no clock; adapters/updates.py acts on what acts.py says.
"""

from enum import StrEnum


class Step(StrEnum):
    """Where an update stands."""

    IDLE = "idle"
    CHECK = "check"  # metadata is fetched
    VERIFY_META = "verify_meta"
    PLAN = "plan"
    FETCH = "fetch"
    VERIFY_IMAGES = "verify_images"
    WAIT_CONDITIONS = "wait_conditions"
    PREPARE = "prepare"
    ACTIVATE = "activate"
    RESTART = "restart"  # the vehicle starts anew, with what was activated
    HEALTH = "health"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    RESTART_BACK = "restart_back"  # the vehicle starts anew, with what was there before
    REPORT = "report"


class Event(StrEnum):
    """What moves it."""

    DUE = "due"
    ANSWERED = "answered"  # a metadata file came
    MORE = "more"  # another file is wanted
    NOTHING = "nothing"  # no order, or one that is done
    REFUSED = "refused"  # what came is not trusted
    UNREACHABLE = "unreachable"
    ORDERED = "ordered"
    PLANNED = "planned"
    ALL_FETCHED = "all_fetched"
    ALL_VERIFIED = "all_verified"
    READY = "ready"  # the conditions are met
    ALL_PREPARED = "all_prepared"
    ALL_ACTIVE = "all_active"
    NEEDS_RESTART = "needs_restart"
    RESTARTED = "restarted"
    WELL = "well"
    ALL_COMMITTED = "all_committed"
    ALL_BACK = "all_back"
    FAILED = "failed"
    LOOPING = "looping"  # the agent was started too often in one step
    TOLD = "told"


MOVES: dict[tuple[Step, Event], Step] = {
    (Step.IDLE, Event.DUE): Step.CHECK,
    (Step.CHECK, Event.ANSWERED): Step.VERIFY_META,
    (Step.CHECK, Event.UNREACHABLE): Step.IDLE,
    (Step.VERIFY_META, Event.MORE): Step.CHECK,
    (Step.VERIFY_META, Event.NOTHING): Step.IDLE,
    (Step.VERIFY_META, Event.REFUSED): Step.REPORT,
    (Step.VERIFY_META, Event.ORDERED): Step.PLAN,
    (Step.PLAN, Event.NOTHING): Step.IDLE,
    (Step.PLAN, Event.FAILED): Step.REPORT,
    (Step.PLAN, Event.PLANNED): Step.FETCH,
    (Step.FETCH, Event.ALL_FETCHED): Step.VERIFY_IMAGES,
    (Step.VERIFY_IMAGES, Event.ALL_VERIFIED): Step.WAIT_CONDITIONS,
    (Step.WAIT_CONDITIONS, Event.READY): Step.PREPARE,
    # Nothing has changed yet, so a failure costs nothing.
    (Step.FETCH, Event.FAILED): Step.REPORT,
    (Step.FETCH, Event.LOOPING): Step.REPORT,
    (Step.VERIFY_IMAGES, Event.FAILED): Step.REPORT,
    (Step.VERIFY_IMAGES, Event.LOOPING): Step.REPORT,
    (Step.WAIT_CONDITIONS, Event.FAILED): Step.REPORT,
    (Step.PREPARE, Event.ALL_PREPARED): Step.ACTIVATE,
    (Step.ACTIVATE, Event.ALL_ACTIVE): Step.HEALTH,
    (Step.ACTIVATE, Event.NEEDS_RESTART): Step.RESTART,
    (Step.RESTART, Event.RESTARTED): Step.HEALTH,
    (Step.HEALTH, Event.WELL): Step.COMMIT,
    # Committing is said again until each has done it; a slot that fell back meanwhile is started once more.
    (Step.COMMIT, Event.NEEDS_RESTART): Step.COMMIT,
    (Step.COMMIT, Event.RESTARTED): Step.COMMIT,
    (Step.COMMIT, Event.ALL_COMMITTED): Step.REPORT,
    (Step.COMMIT, Event.LOOPING): Step.REPORT,
    (Step.PREPARE, Event.FAILED): Step.ROLLBACK,
    (Step.PREPARE, Event.LOOPING): Step.ROLLBACK,
    (Step.ACTIVATE, Event.FAILED): Step.ROLLBACK,
    (Step.ACTIVATE, Event.LOOPING): Step.ROLLBACK,
    (Step.RESTART, Event.FAILED): Step.ROLLBACK,
    (Step.RESTART, Event.LOOPING): Step.ROLLBACK,
    (Step.HEALTH, Event.FAILED): Step.ROLLBACK,
    (Step.HEALTH, Event.LOOPING): Step.ROLLBACK,
    (Step.ROLLBACK, Event.ALL_BACK): Step.REPORT,
    (Step.ROLLBACK, Event.NEEDS_RESTART): Step.RESTART_BACK,
    # Looked at once more: what is back says so, and nothing is believed before.
    (Step.RESTART_BACK, Event.RESTARTED): Step.ROLLBACK,
    (Step.ROLLBACK, Event.LOOPING): Step.REPORT,
    (Step.RESTART_BACK, Event.LOOPING): Step.REPORT,
    (Step.REPORT, Event.TOLD): Step.IDLE,
}

# Where an order lies on the disk.
KEPT = frozenset(Step) - {Step.IDLE, Step.CHECK, Step.VERIFY_META, Step.PLAN}
# Where the order may still be taken back without a trace.
HARMLESS = frozenset({Step.FETCH, Step.VERIFY_IMAGES, Step.WAIT_CONDITIONS})
# Where the vehicle may be neither old nor new, for now.
UNDER_WAY = KEPT - HARMLESS - {Step.REPORT}


def moved(step: Step, event: Event) -> Step:
    """Return the step after `event`.  Raises KeyError for what cannot come now: a mistake of ours."""
    return MOVES[step, event]
