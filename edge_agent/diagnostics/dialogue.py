"""One request to one ECU until its answer, over ISO-TP: timers, pauses and repetitions (ISO 14229-2).

    asked --P2--> late: Unavailable
      |---0x78 response pending--> P2* --> late: Unavailable
      |---0x21 busy--> a pause --> asked again
      |---first frame of a long answer--> N_Cr of ISO-TP
      '---any other answer--> answer

Rule 1: no I/O and no clock: `now_ns` is any clock that never goes back, `due_ns` says when to call again.
Rule 2: what is no answer to this request is ignored: a late one to the request before it, too.
Rule 3: an ECU that is never done is given up after ANSWER_MAX_NS: others wait for it.
"""

from dataclasses import dataclass

from edge_agent.canbus.isotp import Channel, Terms
from edge_agent.diagnostics.uds import Nrc, answers, refusal
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import Unavailable

# What the way adds to the ECU's own time (delta P2): gateways, and an agent that looks at its buses every few
# milliseconds and has other work.  A bench shows 5 ms, a busy machine 60.
NETWORK_NS = 100 * NS_PER_MS
# Between two requests to an ECU that is busy, and how often: two seconds in all.
BUSY_PAUSE_NS = 200 * NS_PER_MS
BUSY_MAX = 10
# Longer than any ECU takes to list its codes.
ANSWER_MAX_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an ECU may take to begin its answer."""

    p2_ns: int = 50 * NS_PER_MS
    p2_star_ns: int = 5000 * NS_PER_MS  # after it has said that it needs longer


class Dialogue:
    """A request, and what becomes of it."""

    def __init__(
        self,
        request: bytes,
        terms: Terms,
        patience: Patience,
        *,
        now_ns: int,
        is_functional: bool = False,
    ) -> None:
        """`is_functional`: the request goes to all ECUs at once, so it is not sent here.  Raises BadInput."""
        self.answer: bytes | None = None
        self._request, self._patience = request, patience
        self._channel = Channel(terms)
        self._busy = 0
        self._asks_ns: int | None = None  # when the request goes out (again)
        self._limit_ns: int | None = None  # when the answer has to begin
        self._timer = "P2"
        self._end_ns = now_ns + ANSWER_MAX_NS
        self._broken: Unavailable | None = None
        if is_functional:
            self._wait(now_ns, "P2", patience.p2_ns)
        else:
            self._channel.start(request, now_ns=now_ns)

    @property
    def due_ns(self) -> int:
        """When `due` has to be called at the latest."""
        if self._broken is not None:
            return 0
        known = (self._channel.due_ns, self._asks_ns, self._answer_due_ns, self._end_ns)
        return min(due_ns for due_ns in known if due_ns is not None)

    @property
    def _answer_due_ns(self) -> int | None:
        # An answer that has begun is ISO-TP's to wait for.
        return None if self._channel.is_receiving else self._limit_ns

    def take(self, data: bytes, *, now_ns: int) -> None:
        """Take a frame of the ECU; `answer` may be there then."""
        try:
            message = self._channel.take(data, now_ns=now_ns)
        except Unavailable as error:
            self._broken = error  # told by `due`, once the ECU has got what it is owed
            return
        if message is None or not answers(message, self._request):
            return
        said = refusal(message)
        if said is not None and said.code == Nrc.RESPONSE_PENDING:
            self._wait(now_ns, "P2*", self._patience.p2_star_ns)
        elif said is not None and said.code == Nrc.BUSY_REPEAT_REQUEST and self._busy < BUSY_MAX:
            self._busy += 1
            self._limit_ns, self._asks_ns = None, now_ns + BUSY_PAUSE_NS
        else:
            self.answer = message

    def due(self, *, now_ns: int) -> list[bytes]:
        """Return the frames to send now.  Raises Unavailable when the ECU is late, or has mixed itself up."""
        if self._asks_ns is not None and now_ns >= self._asks_ns:
            self._asks_ns = None
            self._channel.start(self._request, now_ns=now_ns)
        was_sending = self._channel.is_sending
        out = self._channel.due(now_ns=now_ns)
        if self._broken is not None:
            if out:
                return out
            raise self._broken
        if was_sending and not self._channel.is_sending:
            self._wait(now_ns, "P2", self._patience.p2_ns)
        self._check(now_ns)
        return out

    def _wait(self, now_ns: int, timer: str, wait_ns: int) -> None:
        self._timer, self._limit_ns = timer, now_ns + wait_ns + NETWORK_NS

    def _check(self, now_ns: int) -> None:
        if self.answer is not None:
            return
        if now_ns >= self._end_ns:
            raise Unavailable(f"no answer within {ANSWER_MAX_NS // NS_PER_S} s")
        limit_ns = self._answer_due_ns
        if limit_ns is not None and now_ns >= limit_ns:
            wait_ns = self._patience.p2_ns if self._timer == "P2" else self._patience.p2_star_ns
            raise Unavailable(f"no answer within {wait_ns // NS_PER_MS} ms ({self._timer})")
