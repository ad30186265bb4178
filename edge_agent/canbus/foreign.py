"""KCD, ARXML and SYM files, read by cantools and turned into our model.

Rule 1: cantools is loaded when such a file is, not before: an agent on DBC files starts without it.
Rule 2: XML with a document type is refused: a database needs no entities, an attack does.
Rule 3: cantools trusts what it reads, so what would exhaust it is refused before.
Rule 4: these formats come without lines here, so their problems stand at line 0.
"""

import logging
import re
from collections.abc import Iterable
from typing import Any

from edge_agent.canbus import lint
from edge_agent.canbus.database_text import text_of
from edge_agent.canbus.model import (
    MESSAGE_MAX_BYTES,
    ByteOrder,
    Choices,
    Database,
    Message,
    Multiplex,
    Number,
    Problem,
    Signal,
)
from fairway.errors import BadInput

FORMATS = {".kcd": "kcd", ".arxml": "arxml", ".sym": "sym"}

# cantools keeps 30 to 60 times a file's size in memory while it reads it.
FOREIGN_MAX_BYTES = 32 * 1024 * 1024

_ENCODING = re.compile(rb"""^[^>]{0,100}?encoding=["']([A-Za-z0-9._-]{1,40})["']""")
# A position or length of six digits lies beyond every message, and cantools keeps a note for each bit.
_FAR = {
    "kcd": re.compile(r"""\b(?:length|offset)\s*+=\s*+["']\s*+[+\d_]{6}"""),
    "arxml": re.compile(r"<[^<>]*?(?:LENGTH|START-POSITION)\s*+>\s*+[+\d_]{6}"),
    "sym": re.compile(r"^\s*+(?:Var|Sig|Len|DLC)\b[^/\n]*?\d{6}", re.IGNORECASE | re.MULTILINE),
}
_DOCTYPE = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read(content: bytes, *, name: str, suffix: str) -> Database:
    """Return the database in `content`.  Raises BadInput when cantools cannot read it."""
    if len(content) > FOREIGN_MAX_BYTES:
        raise BadInput(
            f"{name}{suffix} is larger than {FOREIGN_MAX_BYTES} bytes: convert it to a DBC file first"
        )
    kind = FORMATS[suffix]
    text, remark = text_of(content) if kind == "sym" else (_xml_text(content, name), "")
    problems = [Problem(0, "warning", remark)] if remark else []
    messages = [
        _message(entry, problems)
        for entry in _foreign_messages(text, kind, name)
        if _fits(entry, problems)
    ]
    places = [lint.Place(0, (0,) * len(message.signals)) for message in messages]
    problems += lint.check(messages, places)
    is_j1939 = any(message.is_j1939 for message in messages)
    return Database(name, tuple(messages), is_j1939=is_j1939, problems=tuple(problems))


def _xml_text(content: bytes, name: str) -> str:
    declared = _ENCODING.match(content)
    encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BadInput(f"{name} cannot be read in its encoding {encoding}: {error}") from error
    if _DOCTYPE.search(text):
        raise BadInput(f"{name} declares a document type or entities, which no database needs")
    return text


def _foreign_messages(text: str, kind: str, name: str) -> Iterable[Any]:
    far = _FAR[kind].search(text)
    if far is not None:
        line = text.count("\n", 0, far.start()) + 1
        raise BadInput(f"{name}, line {line}: a length or position of six digits fits no message")
    import cantools  # noqa: PLC0415 - rule 1

    # It warns of repeated names and ids on its own; we say so in the list of problems.
    logging.getLogger("cantools").setLevel(logging.ERROR)
    try:
        loaded = cantools.database.load_string(
            text, database_format=kind, strict=False, sort_signals=None
        )
    except cantools.Error as error:
        reason = re.sub(r"\s+", " ", str(error)).strip()[:300]
        raise BadInput(f"{name} is no {kind.upper()} file that can be read: {reason}") from error
    return loaded.messages  # type: ignore[union-attr] # diagnostics have another kind


def _fits(entry: Any, problems: list[Problem]) -> bool:
    """Return whether a bus or a transport protocol could carry the message."""
    if entry.length <= MESSAGE_MAX_BYTES:
        return True
    text = f"message {entry.name} is left out: {entry.length} bytes is too long"
    problems.append(Problem(0, "error", text))
    return False


def _message(entry: Any, problems: list[Problem]) -> Message:
    if getattr(entry, "is_container", False):
        problems.append(
            Problem(
                0, "error", f"message {entry.name} is a container: what it contains is left out"
            )
        )
    bits = 8 * MESSAGE_MAX_BYTES
    kept = [one for one in entry.signals if 0 < one.length <= bits and 0 <= one.start < bits]
    if len(kept) < len(entry.signals):
        text = f"signals of {entry.name} are left out: their bits fit no message"
        problems.append(Problem(0, "error", text))
    positions: dict[str, int] = {}
    for position, signal in enumerate(kept):
        positions.setdefault(signal.name, position)
    parents = {signal.multiplexer_signal for signal in kept}
    return Message(
        name=entry.name,
        frame_id=entry.frame_id,
        is_extended=bool(entry.is_extended_frame),
        length=entry.length,
        signals=tuple(
            _signal(signal, positions, is_multiplexer=signal.name in parents) for signal in kept
        ),
        is_fd=bool(entry.is_fd),
        is_j1939=entry.protocol == "j1939",
        cycle_time_ms=int(entry.cycle_time) if entry.cycle_time else None,
        senders=tuple(entry.senders),
        comment=entry.comment or "",
    )


def _signal(entry: Any, positions: dict[str, int], *, is_multiplexer: bool) -> Signal:
    conversion = entry.conversion
    return Signal(
        name=entry.name,
        start=entry.start,
        length=entry.length,
        byte_order=ByteOrder.BIG if entry.byte_order == "big_endian" else ByteOrder.LITTLE,
        number=_number(entry),
        scale=float(conversion.scale),
        offset=float(conversion.offset),
        minimum=None if entry.minimum is None else float(entry.minimum),
        maximum=None if entry.maximum is None else float(entry.maximum),
        unit=entry.unit or "",
        is_multiplexer=is_multiplexer or bool(entry.is_multiplexer),
        multiplex=_multiplex(entry, positions),
        choices=_choices(conversion.choices),
        initial=float(entry.raw_initial) if isinstance(entry.raw_initial, int | float) else None,
        comment=entry.comment or "",
    )


def _number(entry: Any) -> Number:
    if entry.is_float and entry.length in (16, 32, 64):
        return Number.FLOAT
    return Number.SIGNED if entry.is_signed else Number.UNSIGNED


def _choices(choices: Any) -> Choices:
    return tuple((int(value), str(text)) for value, text in (choices or {}).items())


def _multiplex(entry: Any, positions: dict[str, int]) -> Multiplex | None:
    parent = positions.get(entry.multiplexer_signal or "")
    if parent is None or not entry.multiplexer_ids:
        return None
    return Multiplex(parent, _ranges(entry.multiplexer_ids))


def _ranges(values: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return `values` as ranges: 3 5 4 9 is 3-5 and 9-9."""
    ranges: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], value)
        else:
            ranges.append((value, value))
    return tuple(ranges)
