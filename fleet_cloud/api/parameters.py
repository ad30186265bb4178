"""How times, spans and choices are written in a request, and how far they may go.

1700000000000000000          nanoseconds since the Unix epoch
2023-11-14T22:13:20.5Z       ISO 8601, to the nanosecond; without an offset it is UTC
-15m                         that long before now
500ms  10s  1m  1h  7d       a span
"""

import datetime as dt
import fnmatch
import re
from collections.abc import Callable, Sequence

from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import BadInput
from fleet_cloud.vehicles.telemetry import TIME_MAX_NS

AGGREGATES = ("min", "max", "mean", "last", "count")

# A path in a signal tree has some ten steps of some ten letters.
SIGNAL_MAX_CHARS = 1024
GLOB_MAX_CHARS = 256

_UNITS_NS = {
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}
_SPAN = re.compile(r"([0-9]{1,18})(ms|s|m|h|d)")
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def span_ns(text: str, *, name: str) -> int:
    """Return a span such as `10s` in nanoseconds.  Raises BadInput."""
    found = _SPAN.fullmatch(text)
    span = int(found.group(1)) * _UNITS_NS[found.group(2)] if found else 0
    if not 0 < span <= TIME_MAX_NS:
        raise BadInput(f"{name} is {text[:40]!r}: write a span such as 500ms, 10s, 1m, 1h or 7d")
    return span


def time_ns(text: str, *, name: str, now_ns: int) -> int:
    """Return a time in nanoseconds since the Unix epoch.  Raises BadInput."""
    if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
        at_ns = int(text)
    elif text.startswith("-"):
        at_ns = now_ns - span_ns(text[1:], name=name)
    else:
        at_ns = _iso_ns(text, name=name)
    if not 0 <= at_ns <= TIME_MAX_NS:
        raise BadInput(f"{name} is {text[:40]!r}: times lie between 1970 and 2262")
    return at_ns


def _iso_ns(text: str, *, name: str) -> int:
    # A "+" in a query that was not percent-encoded arrives as a space.
    found = _ISO.fullmatch(re.sub(r" (\d{2}:\d{2})$", r"+\1", text) if "T" in text else text)
    if found is None:
        raise BadInput(
            f"{name} is {text[:40]!r}: write 2026-11-22T14:00:00Z, nanoseconds since 1970, or -15m"
        )
    day, clock, fraction, offset = found.groups()
    zone = "+00:00" if offset in (None, "Z") else offset
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone}")
        since = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{name} is {text[:40]!r}: there is no such time ({error})") from error
    seconds = since.days * 86_400 + since.seconds
    return seconds * NS_PER_S + int((fraction or "0").ljust(9, "0"))


def iso(at_ns: int) -> str:
    """Return a time as ISO 8601 with nanoseconds."""
    moment = _EPOCH + dt.timedelta(seconds=at_ns // NS_PER_S)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns % NS_PER_S:09d}Z"


def aggregates(text: str) -> list[str]:
    """Return the aggregates named in `min,max`, in that order.  Raises BadInput."""
    wanted = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in wanted if name not in AGGREGATES]
    if unknown:
        raise BadInput(f"aggregates has {unknown[0][:40]!r}: choose from {', '.join(AGGREGATES)}")
    return wanted


def signal_filter(globs: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a signal's name fits one of `globs` (all names when there is none).  Raises BadInput."""
    for glob in globs:
        if len(glob) > GLOB_MAX_CHARS:
            raise BadInput(
                f"signal is longer than {GLOB_MAX_CHARS} characters: shorten the pattern"
            )
    if not globs:
        return lambda _name: True
    fits = re.compile("|".join(fnmatch.translate(glob) for glob in globs)).match
    return lambda name: fits(name) is not None
