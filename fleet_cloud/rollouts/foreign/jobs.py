"""Executions of AWS IoT Jobs, as a table: how an order of ours stands for a device that knows Jobs.

    QUEUED > IN_PROGRESS > SUCCEEDED | FAILED | REJECTED | TIMED_OUT | CANCELED

Rule 1: an order is a job with one execution; a vehicle has one at a time, and so has its list.
Rule 2: a final state stays: AWS answers TerminalStateReached, and nothing changes.
Rule 3: a version grows by one with each change; whoever expects another one is refused.
Rule 4: this file asks no clock and sends nothing: what is to be sent and told comes out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fairway.clock import NS_PER_S
from fairway.iot_jobs import is_job
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.ports import Offer


class Status(StrEnum):
    """How an execution stands."""

    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    TIMED_OUT = "TIMED_OUT"
    CANCELED = "CANCELED"
    REMOVED = "REMOVED"


# What a device may make of each; whatever is not here is final.
MOVES: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.IN_PROGRESS, Status.SUCCEEDED, Status.FAILED, Status.REJECTED}
    ),
    Status.IN_PROGRESS: frozenset(
        {Status.IN_PROGRESS, Status.SUCCEEDED, Status.FAILED, Status.REJECTED}
    ),
}

# What becomes of our order.
_OUTCOMES: Mapping[Status, tuple[Stage, Fault | None]] = {
    Status.SUCCEEDED: (Stage.COMMITTED, None),
    Status.FAILED: (Stage.FAILED, Fault.INSTALL),
    Status.REJECTED: (Stage.FAILED, Fault.CONSENT),
    Status.TIMED_OUT: (Stage.FAILED, Fault.TIME),
    Status.CANCELED: (Stage.FAILED, Fault.CANCELLED),
    Status.REMOVED: (Stage.FAILED, Fault.CANCELLED),
}


class Code(StrEnum):
    """Why something is refused, in AWS's words."""

    INVALID_TOPIC = "InvalidTopic"
    INVALID_JSON = "InvalidJson"
    INVALID_REQUEST = "InvalidRequest"
    INVALID_STATE = "InvalidStateTransition"
    NOT_FOUND = "ResourceNotFound"
    VERSION = "VersionMismatch"
    INTERNAL = "InternalError"
    TERMINAL = "TerminalStateReached"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Execution:
    """An order as a job of one device."""

    job: str
    action: str
    status: Status
    version: int
    queued_s: int
    updated_s: int
    started_s: int | None = None
    deadline_s: int | None = None  # when a step that was to end in time has not
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.status not in MOVES


@dataclass(frozen=True, slots=True)
class Update:
    """What a device asks for."""

    status: Status
    details: Mapping[str, str] | None = None  # None: as they were
    expected_version: int | None = None
    step_minutes: int | None = None  # None: as it was; -1: without a limit


def job_of(action: str) -> str:
    """Return what a job is called: as its order is, where AWS would have it so."""
    return action if is_job(action) else "order-" + hashlib.sha256(action.encode()).hexdigest()[:32]


def settled(
    offer: Offer | None, open_: Sequence[Execution], kept: Execution | None, now_s: int
) -> list[Execution]:
    """Return the executions that are otherwise than they were, for what is offered now.

    `open_` are those of the vehicle that are not over; `kept` is the one of the offer, if there is one.
    """
    wanted = job_of(offer.action) if offer is not None and not offer.is_cancelled else None
    changed = []
    for one in open_:
        if one.job != wanted:
            changed.append(_moved(one, Status.CANCELED, now_s))
        elif one.deadline_s is not None and now_s >= one.deadline_s:
            changed.append(_moved(one, Status.TIMED_OUT, now_s))
    if offer is not None and wanted is not None and kept is None:
        changed.append(Execution(wanted, offer.action, Status.QUEUED, 1, now_s, now_s))
    return changed


def started(execution: Execution, update: Update, now_s: int) -> Execution:
    """Return an execution that its device begins; one that it has begun already stays."""
    if execution.status is not Status.QUEUED:
        return execution
    return _updated(execution, replace(update, status=Status.IN_PROGRESS), now_s)


def updated(execution: Execution, update: Update, now_s: int) -> Execution | Refusal:
    """Return an execution after what its device says, or why it may not say it."""
    expected = update.expected_version
    if execution.is_over:
        return Refusal(
            Code.TERMINAL, f"the job {execution.job} is {execution.status}: nothing follows"
        )
    if expected is not None and expected != execution.version:
        return Refusal(
            Code.VERSION, f"the version is {execution.version}, and {expected} is expected"
        )
    if update.status not in MOVES[execution.status]:
        return Refusal(
            Code.INVALID_STATE,
            f"a device cannot make {update.status} of {execution.status}",
        )
    return _updated(execution, update, now_s)


def event_of(execution: Execution, now_ns: int) -> UpdateEvent:
    """Return what an execution comes to for our order."""
    details = execution.details
    fault: Fault | None = None
    if execution.is_over:
        stage, fault = _OUTCOMES[execution.status]
        if execution.status is Status.FAILED and details.get("fault") in list(Fault):
            fault = Fault(details["fault"])
    else:
        said = details.get("stage", "")
        is_known = said in list(Stage) and not Stage(said).is_final
        stage = Stage(said) if is_known else Stage.INSTALLING
    if execution.status is Status.QUEUED:
        stage = Stage.OFFERED
    percent = details.get("percent", "")
    return UpdateEvent(
        execution.action,
        now_ns,
        now_ns,
        stage,
        percent=int(percent) if percent in _PERCENTS else None,
        fault=fault,
        sentence=details.get("message", "") or f"The job is {execution.status}",
    )


_PERCENTS = frozenset(str(number) for number in range(101))


def _updated(execution: Execution, update: Update, now_s: int) -> Execution:
    moved = _moved(execution, update.status, now_s)
    if update.details is not None:
        moved = replace(moved, details=dict(update.details))
    if moved.is_over or update.step_minutes == -1:
        return replace(moved, deadline_s=None)
    if update.step_minutes is not None:
        return replace(moved, deadline_s=now_s + 60 * update.step_minutes)
    return moved


def _moved(execution: Execution, status: Status, now_s: int) -> Execution:
    is_first = execution.started_s is None and status is not Status.CANCELED
    return replace(
        execution,
        status=status,
        version=execution.version + 1,
        updated_s=now_s,
        started_s=now_s if is_first else execution.started_s,
    )


def seconds(now_ns: int) -> int:
    """Return a moment as Jobs tells it."""
    return now_ns // NS_PER_S
