"""What hawkBit's clients say of an order, as events of ours, and our events in hawkBit's words.

    {"status": {"execution": "closed", "result": {"finished": "success"}}}  ->  COMMITTED
    an event of an order  ->  {"type": "finished", "messages": [...]}

Rule 1: what a client sends is checked here, and nothing of it travels further unread.
Rule 2: hawkBit knows "closed" and "not closed"; whatever is not closed leaves the order open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent

EXECUTIONS = (
    "closed",
    "proceeding",
    "canceled",
    "scheduled",
    "rejected",
    "resumed",
    "downloaded",
    "download",
)
FINISHED = ("success", "failure", "none")
# As hawkBit: 50 messages of 512 characters are kept, the rest is cut.
DETAILS_MAX = 50
DETAIL_MAX_CHARS = 512


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a client says."""

    execution: str
    finished: str
    percent: int | None = None
    code: int | None = None
    details: tuple[str, ...] = ()


_OPEN: Mapping[str, Stage] = {
    "proceeding": Stage.INSTALLING,
    "resumed": Stage.INSTALLING,
    "scheduled": Stage.WINDOW,
    "download": Stage.DOWNLOADING,
    "downloaded": Stage.STAGED,
}

_TYPES: Mapping[Stage, str] = {
    Stage.PLANNED: "running",
    Stage.OFFERED: "retrieved",
    Stage.CONSENT: "wait_for_confirmation",
    Stage.DOWNLOADING: "download",
    Stage.STAGED: "downloaded",
    Stage.WINDOW: "scheduled",
    Stage.INSTALLING: "running",
    Stage.VERIFYING: "running",
    Stage.COMMITTED: "finished",
    Stage.ROLLED_BACK: "error",
    Stage.FAILED: "error",
    Stage.EXPIRED: "canceled",
}


def feedback_of(body: Any) -> Feedback:
    """Read a feedback.  Raises BadInput."""
    status = _object(body, "the feedback").get("status")
    status = _object(status, "status")
    execution = status.get("execution")
    if execution not in EXECUTIONS:
        raise BadInput(
            f"status.execution is {execution!r:.60}: it is one of {', '.join(EXECUTIONS)}"
        )
    result = _object(status.get("result") or {}, "status.result")
    finished = result.get("finished", "none")
    if finished not in FINISHED:
        raise BadInput(
            f"status.result.finished is {finished!r:.60}: it is one of {', '.join(FINISHED)}"
        )
    code = status.get("code")
    if not _is_whole(code) and code is not None:
        raise BadInput(f"status.code is {code!r:.60}: it is a whole number")
    return Feedback(
        execution,
        finished,
        _percent(result.get("progress")),
        code,
        details_of(status.get("details")),
    )


def details_of(value: Any) -> tuple[str, ...]:
    """Read the messages of a feedback; too many and too long ones are cut.  Raises BadInput."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadInput("status.details is a list of texts")
    return tuple(_text(one) for one in value[:DETAILS_MAX])


def deployed(feedback: Feedback, action: str, now_ns: int) -> UpdateEvent:
    """Return what a feedback on a deployment comes to."""
    fault: Fault | None = None
    match feedback.execution:
        case "closed" if feedback.finished == "failure":
            stage, fault = Stage.FAILED, Fault.INSTALL
        case "closed":
            stage = Stage.COMMITTED
        case "canceled":
            stage, fault = Stage.FAILED, Fault.CANCELLED
        case "rejected":  # not now: the order stays open, as at hawkBit
            stage, fault = Stage.WINDOW, Fault.CONDITION
        case other:
            stage = _OPEN[other]
    return _event(feedback, action, now_ns, stage, fault)


def cancelled(feedback: Feedback, action: str, now_ns: int) -> UpdateEvent:
    """Return what a feedback on a cancellation comes to."""
    if feedback.execution in ("closed", "canceled") and feedback.finished != "failure":
        return _event(feedback, action, now_ns, Stage.FAILED, Fault.CANCELLED)
    # On its way, or refused: the order goes on until the client says what became of it.
    refused = Fault.CONDITION if is_cancel_refused(feedback) else None
    return _event(feedback, action, now_ns, Stage.INSTALLING, refused)


def is_cancel_refused(feedback: Feedback) -> bool:
    """Whether a client says that it does not give up its order."""
    return feedback.execution == "rejected" or (
        feedback.execution == "closed" and feedback.finished == "failure"
    )


def numbered(event: UpdateEvent, history: Sequence[UpdateEvent]) -> UpdateEvent:
    """Return an event with a number that follows what was said before: by its moment, wherever clocks stand."""
    last = max((one.sequence for one in history), default=0)
    return replace(event, sequence=max(event.time_ns, last + 1))


def keeps_on(event: UpdateEvent) -> bool:
    """Whether the vehicle has said that it does not give up its order."""
    return event.stage is Stage.INSTALLING and event.fault is Fault.CONDITION


def type_of(event: UpdateEvent) -> str:
    """Return hawkBit's word for an event."""
    if event.stage is Stage.FAILED and event.fault is Fault.CANCELLED:
        return "canceled"
    if event.stage is Stage.WINDOW and event.fault is Fault.CONDITION:
        return "warning"
    if keeps_on(event):
        return "cancel_rejected"
    return _TYPES[event.stage]


def messages_of(event: UpdateEvent) -> list[str]:
    """Return the messages of an event."""
    return event.sentence.split("\n") if event.sentence else []


def action_status(events: Sequence[UpdateEvent], *, is_cancelled: bool) -> tuple[str, str]:
    """Return hawkBit's type and status of an order: what became of it, or pending."""
    last = events[-1] if events else None
    word = type_of(last) if last is not None else "running"
    if word == "canceled":
        return "cancel", "canceled"
    if last is not None and (last.stage.is_final or last.stage is Stage.STAGED):
        return "update", "finished" if last.stage is Stage.COMMITTED else word
    return ("cancel", "pending") if is_cancelled else ("update", "pending")


def _event(
    feedback: Feedback, action: str, now_ns: int, stage: Stage, fault: Fault | None
) -> UpdateEvent:
    said = feedback.details
    if feedback.code is not None:
        said = (*said, f"code {feedback.code}")
    # A client of hawkBit numbers nothing: the moment does.
    return UpdateEvent(
        action,
        now_ns,
        now_ns,
        stage,
        percent=feedback.percent,
        fault=fault,
        sentence="\n".join(said),
    )


def _percent(progress: Any) -> int | None:
    if progress is None:
        return None
    said = _object(progress, "status.result.progress")
    done, of = said.get("cnt"), said.get("of")
    if not _is_whole(done) or not (of is None or _is_whole(of)):
        raise BadInput("status.result.progress has whole numbers: cnt, and of")
    if not isinstance(done, int) or not isinstance(of, int) or done < 0 or of <= 0:
        return None
    return min(100, 100 * done // of)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{what} is {type(value).__name__}: it is an object")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _text(text: str) -> str:
    """Return a message that can be stored anywhere: cut, on one line, without half characters."""
    clean = text[:DETAIL_MAX_CHARS].encode("utf-8", "replace").decode()
    return clean.replace("\x00", " ").replace("\r", " ").replace("\n", " ")
