"""Commands from the cloud: each is done once, over restarts, and answered as often as it is asked.

    new ----begin----> noted (durable) ----done----> answered (kept)
    asked again --------^ in progress         ^---- the same answer
    too late -> timed out, never begun

Rule 1: a command is noted before it is done; one that a crash interrupted is not done again, and says so.
Rule 2: a question changes nothing: it is answered anew each time, and not noted.
Rule 3: so many commands are remembered, the oldest are forgotten first: a cloud does not ask again after days.
"""

import json
from dataclasses import asdict, dataclass

from fairway.control import QUESTIONS, Answer, AnswerState, Command

IDS_MAX = 1000

# As AWS IoT FleetWise numbers them.
PRECONDITION_FAILED = 0x1
STATE_TEMPLATE_OUT_OF_SYNC = 0x6
INTERNAL_ERROR = 0xD
ALREADY_ACTIVATED = 0x10
ALREADY_DEACTIVATED = 0x11
TIMED_OUT_BEFORE_DISPATCH = 0x12


@dataclass(slots=True)
class _Noted:
    state: int
    reason_code: int = 0
    sentence: str = ""


class Inbox:
    """The commands of the last days."""

    def __init__(self, record: bytes | None = None) -> None:
        """`record` is what `to_bytes` returned; what was in progress then was interrupted."""
        self._noted: dict[str, _Noted] = {}
        try:
            said = json.loads(record or b"{}")
            self._noted = {id_: _Noted(**noted) for id_, noted in said.items()}
        except (ValueError, TypeError, AttributeError):
            self._noted = {}
        for noted in self._noted.values():
            if noted.state == AnswerState.IN_PROGRESS:
                noted.state, noted.reason_code = AnswerState.FAILED, INTERNAL_ERROR
                noted.sentence = "the agent stopped while it did this: it may be done, or not"

    def begin(self, command: Command, *, now_ns: int) -> Answer | None:
        """Return None when the command is to be done now, else its answer; `now_ns` is the wall clock."""
        noted = self._noted.get(command.id)
        if noted is not None:
            return Answer(command.id, AnswerState(noted.state), noted.reason_code, noted.sentence)
        if now_ns > command.expires_time_ns:
            late_s = (now_ns - command.expires_time_ns) / 1e9
            return Answer(
                command.id,
                AnswerState.TIMED_OUT,
                TIMED_OUT_BEFORE_DISPATCH,
                f"the command came {late_s:.1f} s after its time by the vehicle's clock",
            )
        if not isinstance(command.what, QUESTIONS):
            self._note(command.id, _Noted(AnswerState.IN_PROGRESS))
        return None

    def done(self, answer: Answer) -> None:
        """Keep what became of a command."""
        if answer.id in self._noted:
            self._noted[answer.id] = _Noted(answer.state, answer.reason_code, answer.sentence)

    def to_bytes(self) -> bytes:
        """Return everything that must be durable before a command is done."""
        return json.dumps({id_: asdict(noted) for id_, noted in self._noted.items()}).encode()

    def _note(self, id_: str, noted: _Noted) -> None:
        while len(self._noted) >= IDS_MAX:
            del self._noted[next(iter(self._noted))]
        self._noted[id_] = noted
