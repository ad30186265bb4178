"""`dbc2vss` and `vss2dbc`: one entry of a mapping file -> dataclass.

    dbc2vss:
      signal: Message.Signal        or signals: {a: ..., b: ...}     which; a plain name must be the only one
      message / bus / pgn / multiplexer                              which, said more exactly
      interval_ms, on_change, max_age_ms                             when
      transform: {math: "..."} or {mapping: [{from: ..., to: ...}]}  what

The keys of the KUKSA CAN provider mean what they mean there; docs/reference/mapping.md tells the rest.

Rule 1: what cannot be understood raises BadInput; the caller knows the path.
Rule 2: an unknown key is reported beside the entry, which stands all the same.
"""

import difflib
import re
from typing import Any

from fairway.catalog.model import (
    DEFAULT_INTERVAL_MS,
    DEFAULT_MAX_AGE_MS,
    FLOAT_RANGES,
    Dbc2Vss,
    MathTransform,
    Scalar,
    Selector,
    SignalRef,
    TableTransform,
    Transform,
    Vss2Dbc,
)
from fairway.errors import BadInput

_WHICH = ("signal", "message", "bus", "pgn", "multiplexer")
_FROM_BUS = (*_WHICH, "signals", "interval_ms", "on_change", "max_age_ms", "transform")
_TO_BUS = (*_WHICH, "transform", "interval_ms", "on_change")  # the last two say nothing there
_PART_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The most that a day's drive leaves sensible: an hour.
INTERVAL_MAX_MS = 3_600_000
# A value table has one row for each text; a wide one has 256.
TABLE_MAX_ROWS = 65_536
# Digits of a number, bytes of a word: composed values have a handful of parts.
PARTS_MAX = 16
PGN_MAX = 0x3FFFF

_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def dbc2vss_of(entry: Any, problems: list[str]) -> Dbc2Vss:
    """Return the entry below `dbc2vss`; what is odd but harmless is added to `problems`."""
    if not isinstance(entry, dict):
        raise BadInput(f"dbc2vss must be a table of keys, not {entry!r:.80}")
    _check_keys(entry, _FROM_BUS, problems)
    on_change = _truth(entry.get("on_change", False), "on_change")
    interval_ms = 0 if on_change else DEFAULT_INTERVAL_MS
    return Dbc2Vss(
        parts=_parts(entry, problems),
        transform=_transform(entry.get("transform"), problems),
        interval_ms=_whole(
            entry.get("interval_ms", interval_ms), "interval_ms", most=INTERVAL_MAX_MS
        ),
        on_change=on_change,
        max_age_ms=_whole(
            entry.get("max_age_ms", DEFAULT_MAX_AGE_MS), "max_age_ms", most=INTERVAL_MAX_MS
        ),
    )


def vss2dbc_of(entry: Any, problems: list[str]) -> Vss2Dbc:
    """Return the entry below `vss2dbc`; what is odd but harmless is added to `problems`."""
    if not isinstance(entry, dict):
        raise BadInput(f"vss2dbc must be a table of keys, not {entry!r:.80}")
    _check_keys(entry, _TO_BUS, problems)
    return Vss2Dbc(_reference(entry), _transform(entry.get("transform"), problems))


def truth_of(value: Any) -> bool | None:
    """Return what people and YAML write for true and false, or None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    word = value.lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def is_scalar(value: Any) -> bool:
    """Whether `value` is one a signal can have: a text, a truth, a finite number within float64."""
    if isinstance(value, (bool, str)):
        return True
    return isinstance(value, (int, float)) and abs(value) <= FLOAT_RANGES["double"][1]


def _parts(entry: dict[str, Any], problems: list[str]) -> tuple[tuple[str, SignalRef], ...]:
    several = entry.get("signals")
    if several is None:
        return (("x", _reference(entry)),)
    if "signal" in entry:
        raise BadInput("dbc2vss has both signal and signals: say one of them")
    if not isinstance(several, dict) or not 1 <= len(several) <= PARTS_MAX:
        raise BadInput(f"signals must name 1 to {PARTS_MAX} signals: {{a: ..., b: ...}}")
    common = {key: entry[key] for key in _WHICH if key in entry}
    parts = []
    for name, value in several.items():
        if not isinstance(name, str) or not _PART_NAME.fullmatch(name):
            raise BadInput(f"{name!r:.40} cannot be the name of a part: use a letter and digits")
        own = value if isinstance(value, dict) else {"signal": value}
        _check_keys(own, _WHICH, problems)
        parts.append((name, _reference({**common, **own})))
    if "math" not in (entry.get("transform") or {}):
        raise BadInput("several signals need a transform with math to become one value")
    return tuple(parts)


def _reference(entry: dict[str, Any]) -> SignalRef:
    pgn = entry.get("pgn")
    return SignalRef(
        signal=_name(entry.get("signal"), "signal"),
        message=_name(entry["message"], "message") if "message" in entry else "",
        bus=_name(entry["bus"], "bus") if "bus" in entry else "",
        pgn=None if pgn is None else _whole(pgn, "pgn", most=PGN_MAX),
        selectors=_selectors(entry.get("multiplexer")),
    )


def _selectors(value: Any) -> tuple[Selector, ...]:
    """A number, or the list of {signal, value} that newer CAN providers read."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return (Selector("", _whole(value, "multiplexer", most=2**32)),)
    selectors = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"signal", "value"}:
            raise BadInput(f"multiplexer must list items with signal and value, not {item!r:.80}")
        number = _whole(item["value"], "value of a multiplexer", most=2**32)
        selectors.append(Selector(_name(item["signal"], "signal of a multiplexer"), number))
    return tuple(selectors)


def _transform(value: Any, problems: list[str]) -> Transform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadInput(f"transform must be {{math: ...}} or {{mapping: ...}}, not {value!r:.80}")
    _check_keys(value, ("math", "mapping"), problems)
    if "math" in value and "mapping" in value:
        raise BadInput("transform has both math and mapping: say one of them")
    if "math" in value:
        math = value["math"]
        # A formula that is only a number is read by YAML as one.
        if isinstance(math, bool) or not isinstance(math, (str, int, float)):
            raise BadInput(f"math must be a formula, not {math!r:.80}")
        return MathTransform(str(math))
    if "mapping" not in value:
        raise BadInput("transform has neither math nor mapping")
    return TableTransform(_rows(value["mapping"]))


def _rows(value: Any) -> tuple[tuple[Scalar, Scalar], ...]:
    if not isinstance(value, list) or not value:
        raise BadInput("mapping must be a list of {from: ..., to: ...}")
    if len(value) > TABLE_MAX_ROWS:
        raise BadInput(f"mapping has {len(value)} rows; at most {TABLE_MAX_ROWS} are read")
    rows = []
    for item in value:
        if not isinstance(item, dict) or "from" not in item or "to" not in item:
            raise BadInput(
                f"each row of mapping needs from and to; {item!r:.80} does not have them"
            )
        for side in ("from", "to"):
            if not is_scalar(item[side]):
                raise BadInput(f"{side} of mapping must be a value, not {item[side]!r:.80}")
        rows.append((item["from"], item["to"]))
    return tuple(rows)


def _check_keys(entry: dict[str, Any], known: tuple[str, ...], problems: list[str]) -> None:
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"{key!r:.60} is no key here and says nothing{hint}")


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadInput(f"{what} must be a name, not {value!r:.80}")
    return value


def _whole(value: Any, what: str, *, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise BadInput(f"{what} must be a whole number from 0 to {most}, not {value!r:.80}")
    return value


def _truth(value: Any, what: str) -> bool:
    known = truth_of(value)
    if known is None:
        raise BadInput(f"{what} must be true or false, not {value!r:.80}")
    return known
