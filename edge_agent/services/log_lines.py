"""What a service prints, made into lines that can be kept: whole, short, printable, and not too many.

    bytes > cut into lines > printable text > is there room in the budget? > line, stamped     else: counted

Rule 1: nothing that a service prints can be taken for something that the agent says, or for a second line.
Rule 2: this file does no I/O and asks no clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from fairway.clock import NS_PER_S
from fairway.services.model import MIB

LINE_MAX_BYTES = 4096
CUT_MARK = b" [cut]"


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much of what a service prints is kept."""

    file_max_bytes: int = MIB
    files: int = 3  # of that size, the current one among them
    lines_per_s: int = 100  # on average; what is over is counted, not kept
    burst_s: float = 20.0  # of that rate at once: a stack trace, a start
    instances: int = 3  # of one service whose lines are kept

    @property
    def burst_lines(self) -> float:
        """How many lines are kept at once."""
        return self.lines_per_s * self.burst_s


class Cutter:
    """Cuts a stream of bytes into lines of LINE_MAX_BYTES at most; what is over is dropped and marked."""

    def __init__(self) -> None:
        self._open = b""
        self._is_over = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` ends, without their line ends."""
        first, *others = data.split(b"\n")
        if not others:
            self._keep(first)
            return []
        lines = [self._with(first), *map(_short, others[:-1])]
        self._open, self._is_over = b"", False
        self._keep(others[-1])
        return lines

    def rest(self) -> list[bytes]:
        """Return the line that never ended, if there is one."""
        line = self._with(b"")
        self._open, self._is_over = b"", False
        return [line] if line else []

    def _with(self, part: bytes) -> bytes:
        self._keep(part)
        return self._open + CUT_MARK if self._is_over else self._open.rstrip(b"\r")

    def _keep(self, part: bytes) -> None:
        room = LINE_MAX_BYTES - len(self._open)
        self._is_over |= len(part) > room
        self._open += part[:room]


def _short(line: bytes) -> bytes:
    if len(line) > LINE_MAX_BYTES:
        return line[:LINE_MAX_BYTES] + CUT_MARK
    return line.rstrip(b"\r")


class Budget:
    """How many lines of a service are still kept: a bucket that fills with time."""

    def __init__(self, limits: LogLimits, now_ns: int) -> None:
        self._limits = limits
        self._left = limits.burst_lines
        self._then_ns = now_ns

    def take(self, lines: int, now_ns: int) -> int:
        """Return how many of so many lines are kept; `now_ns` is monotonic."""
        passed_s = max(0, now_ns - self._then_ns) / NS_PER_S
        self._then_ns = now_ns
        full = self._left + passed_s * self._limits.lines_per_s
        self._left = min(full, self._limits.burst_lines)
        kept = min(lines, int(self._left))
        self._left -= kept
        return kept


def printable(line: bytes) -> str:
    """Return a line as text in which nothing moves a cursor, ends a line or turns the writing direction."""
    text = line.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign == "\t" else ascii(sign)[1:-1] for sign in text
    )


def stamped(stream: str, text: str, now_ns: int) -> str:
    """Return a line as it is kept: `2026-01-31T12:00:00.123Z stdout text`."""
    seconds, rest_ns = divmod(now_ns, NS_PER_S)
    when = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{when}.{rest_ns // 1_000_000:03}Z {stream} {text}"
