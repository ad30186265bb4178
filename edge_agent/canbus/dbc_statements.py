"""Walks the text of a DBC file statement by statement and keeps what each says in a Draft.

Rule 1: a statement that cannot be read costs itself only: it is noted with its place, and reading goes on
        at the next line that begins with a known word.
Rule 2: nothing is looked up here; a statement may speak of a message that comes later, or never.
"""

import re
from collections.abc import Callable

from edge_agent.canbus import dbc_grammar as grammar
from edge_agent.canbus.dbc_draft import (
    Draft,
    DraftMessage,
    DraftSignal,
    MultiplexRange,
    Notes,
    Reference,
)
from edge_agent.canbus.model import MESSAGE_MAX_BYTES, Choices
from fairway.errors import BadInput

# The largest database of the corpora has 21,000 statements; beyond this a file only serves to fill memory.
STATEMENTS_MAX = 1_000_000
# No number that means something is written with more characters.
NUMBER_MAX_CHARS = 64

Found = re.Match[str]
Reader = Callable[[Draft, Found], int | None]


def read_statements(text: str) -> Draft:
    """Return what the statements of `text` say.  Raises BadInput when there are too many."""
    draft = Draft(Notes(text))
    at = _skip_gap(text, 0)
    while at < len(text):
        at = _skip_gap(text, _read_one(draft, text, at))
        if draft.statements > STATEMENTS_MAX:
            raise BadInput(f"more than {STATEMENTS_MAX} statements: not a bus database")
    return draft


def _skip_gap(text: str, at: int) -> int:
    gap = grammar.GAP.match(text, at)
    return gap.end() if gap else at


def _read_one(draft: Draft, text: str, at: int) -> int:
    """Read the statement at `at` and return where reading goes on."""
    found = grammar.WORD.match(text, at)
    word = found[0] if found else ""
    if word not in grammar.KEYWORDS:
        draft.notes.warning(at, f"passed over text that is no statement: {_shown(text, at)}")
        return _next_statement(text, at + max(len(word), 1))
    pattern, reader = READERS.get(word, (grammar.PASSED_OVER, None))
    statement = pattern.match(text, at)
    if statement is None:
        draft.notes.error(at, f"cannot read this {word} statement: {_shown(text, at)}")
        return _next_statement(text, at + len(word))
    draft.statements += 1
    resume = reader(draft, statement) if reader is not None else None
    return statement.end() if resume is None else resume


def _next_statement(text: str, at: int) -> int:
    found = grammar.NEXT_STATEMENT.search(text, at)
    return found.end() if found else len(text)


def _shown(text: str, at: int) -> str:
    return repr(short(text[at : at + 200].split("\n", 1)[0].strip()))


def short(text: str) -> str:
    """Return `text` as a sentence can carry it."""
    return text if len(text) <= 60 else text[:57] + "..."


def number(text: str | None) -> float | None:
    """Return the finite number written in `text`, or None."""
    if text is None or len(text) > NUMBER_MAX_CHARS:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None  # false for not-a-number too


def _message(draft: Draft, found: Found) -> None:
    written, name, length, rest = found.groups()
    message = DraftMessage(
        found.start(), int(written) & 0xFFFF_FFFF, name, int(length, 0 if "x" in length else 10), []
    )
    draft.current = message
    sender = rest.partition("//")[0].split()
    if sender:
        message.senders.append(sender[0])
    if int(written) > 0xFFFF_FFFF:
        draft.notes.error(found.start(), f"message {name} is left out: id {written} is too large")
    elif message.length > MESSAGE_MAX_BYTES:
        draft.notes.error(found.start(), f"message {name} is left out: {length} bytes is too long")
    else:
        draft.messages.append(message)


def _signal(draft: Draft, found: Found) -> None:
    name, mark, start, length, order, sign = found.groups()[:6]
    notes, at = draft.notes, found.start()
    if draft.current is None:
        notes.error(at, f"signal {name} is left out: it stands outside any message")
        return
    if not 0 < int(length) <= 8 * MESSAGE_MAX_BYTES or int(start) >= 8 * MESSAGE_MAX_BYTES:
        notes.error(at, f"signal {name} is left out: {length} bits from bit {start} fit no message")
        return
    if name[0].isdigit():
        notes.warning(at, f"signal {name} begins with a digit: other tools may refuse the file")
    if sign is None:
        notes.warning(at, f"signal {name} has no sign (+ or -) and is read as unsigned")
    signal = DraftSignal(
        at, name, mark or "", int(start), int(length), order == "1", sign == "-",
        1.0, 0.0, None, None, grammar.unescaped(found[11] or "").strip(),
    )  # fmt: skip
    _scaling(draft, signal, found[7], found[8])
    _limits(draft, signal, found[9], found[10])
    draft.current.signals.append(signal)


def _scaling(draft: Draft, signal: DraftSignal, factor: str | None, offset: str | None) -> None:
    scale, shift = number(factor), number(offset)
    if scale is None or shift is None:
        draft.notes.error(
            signal.at, f"signal {signal.name} has no readable (factor,offset): raw values are kept"
        )
        return
    signal.scale, signal.offset = scale, shift


def _limits(draft: Draft, signal: DraftSignal, low: str | None, high: str | None) -> None:
    if low is None or high is None:
        draft.notes.warning(signal.at, f"signal {signal.name} has no [minimum|maximum]")
        return
    minimum, maximum = number(low), number(high)
    if minimum is None or maximum is None:
        draft.notes.warning(
            signal.at,
            f"signal {signal.name} has limits that are no numbers: [{short(low)}|{short(high)}]",
        )
    if minimum == maximum == 0:  # how a DBC says that there are no limits
        return
    signal.minimum, signal.maximum = minimum, maximum


def _comment(draft: Draft, found: Found) -> int | None:
    owner, node, kind, written, name, text, end = found.groups()
    at = found.start()
    if end is None:
        broken = grammar.NEXT_STATEMENT.search(text)
        draft.notes.warning(at, "this comment does not end with a semicolon")
        if broken is not None:  # the closing quote is missing: what follows is no comment
            draft.notes.error(at, "this comment has no closing quote: it is taken to end here")
            return found.start(6) + broken.start()
    if written is None:
        kind = owner or ""
    elif kind is None:
        draft.notes.warning(at, f"this comment does not say BO_ before {written}; a message's")
        kind = "BO_"
    elif kind == "SG_" and name is None:
        draft.notes.warning(at, "this comment names no signal and is kept with the message")
        kind = "BO_"
    place = Reference(at, kind, int(written or 0), name or node or "")
    draft.comments.append((place, grammar.unescaped(text)))
    return None


def _choices(draft: Draft, found: Found) -> None:
    written, name, entries, end = found.groups()
    if written is None:  # of an environment variable
        return
    if end is None:
        draft.notes.warning(found.start(), f"the values of {name} do not end with a semicolon")
    place = Reference(found.start(), "SG_", int(written), name)
    draft.choices.append((place, _entries(draft, found.start(), name, entries)))


def _entries(draft: Draft, at: int, name: str, entries: str) -> Choices:
    values = []
    for written, text in grammar.ENTRY.findall(entries):
        value = number(written)
        if value is None or value != int(value):
            draft.notes.error(at, f"the value {written} of {name} is no whole number: left out")
        else:
            values.append((_whole(written, value), grammar.unescaped(text)))
    return tuple(values)


def _whole(written: str, value: float) -> int:
    try:
        return int(written)  # exact beyond 2**53
    except ValueError:
        return int(value)


def _attribute(draft: Draft, found: Found) -> None:
    name, owner, node, message, number_, signal, in_message, signal_name, value, _ = found.groups()
    kind = owner or message or signal or ""
    written = number_ or in_message or 0
    place = Reference(found.start(), kind, int(written), signal_name or node or "")
    draft.attributes.append((place, name, value))


def _attribute_definition(draft: Draft, found: Found) -> None:
    name, kind, rest, _ = found.groups()
    if kind == "ENUM":
        draft.enums[name] = re.findall('"([^"]*)"', rest)


def _attribute_default(draft: Draft, found: Found) -> None:
    draft.defaults[found[1]] = found[2] or ""


def _value_type(draft: Draft, found: Found) -> None:
    place = Reference(found.start(), "SG_", int(found[1]), found[2])
    draft.floats.append((place, int(found[3])))


def _multiplex_range(draft: Draft, found: Found) -> None:
    written, child, parent, ranges, _ = found.groups()
    pairs = tuple((int(low), int(high or low)) for low, high in grammar.RANGE.findall(ranges))
    place = Reference(found.start(), "BO_", int(written))
    draft.multiplex.append((place, MultiplexRange(found.start(), child, parent, pairs)))


def _senders(draft: Draft, found: Found) -> None:
    names = [name for name in re.split(r"[\s,]+", found[2]) if name]
    draft.senders.append((Reference(found.start(), "BO_", int(found[1])), names))


READERS: dict[str, tuple[re.Pattern[str], Reader | None]] = {
    "NS_": (grammar.NEW_SYMBOLS, None),
    "BU_": (grammar.NODES, None),
    "BO_": (grammar.MESSAGE, _message),
    "SG_": (grammar.SIGNAL, _signal),
    "CM_": (grammar.COMMENT, _comment),
    "VAL_": (grammar.CHOICES, _choices),
    "VAL_TABLE_": (grammar.TABLE, None),
    "BA_": (grammar.ATTRIBUTE, _attribute),
    "BA_DEF_": (grammar.ATTRIBUTE_DEFINITION, _attribute_definition),
    "BA_DEF_DEF_": (grammar.ATTRIBUTE_DEFAULT, _attribute_default),
    "SIG_VALTYPE_": (grammar.VALUE_TYPE, _value_type),
    "SG_MUL_VAL_": (grammar.MULTIPLEX_RANGE, _multiplex_range),
    "BO_TX_BU_": (grammar.SENDERS, _senders),
}
