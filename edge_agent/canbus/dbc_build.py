"""Puts the statements of a DBC file together: attributes, comments, values and multiplexers find their signals.

Rule 1: a statement about something that is not there is noted and dropped.
Rule 2: a long name (SystemSignalLongSymbol and its like) takes the short one's place everywhere.
Rule 3: only the attributes named below mean something to us; all others are passed over.
"""

from edge_agent.canbus import dbc_grammar as grammar
from edge_agent.canbus import dbc_multiplex
from edge_agent.canbus.dbc_draft import (
    EXTENDED_FLAG,
    Draft,
    DraftMessage,
    DraftSignal,
    Index,
    Reference,
)
from edge_agent.canbus.dbc_statements import number, short
from edge_agent.canbus.model import ByteOrder, Message, Multiplex, Number, Signal

# Vector keeps signals of no message under this name and number; no frame carries it.
NO_MESSAGE_NAME = "VECTOR__INDEPENDENT_SIG_MSG"
NO_MESSAGE_NUMBER = 0xC000_0000
NOBODY = "Vector__XXX"

# What VFrameFormat's numbers mean where a file does not list them.
FRAME_FORMATS = (
    "StandardCAN", "ExtendedCAN", "reserved", "J1939PG", *["reserved"] * 10, "StandardCAN_FD", "ExtendedCAN_FD",
)  # fmt: skip
# Long names exist because 32 characters are few; no tool that writes them allows more than this.
LONG_NAME_MAX_CHARS = 200
FLOAT_BITS = {1: (16, 32), 2: (64,)}  # by the number of SIG_VALTYPE_


class Attributes:
    """The file-wide side of attributes: enumerations, defaults, and names of nodes."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.node_names: dict[str, str] = {}
        self.of_file: dict[str, str] = {
            name: grammar.unquoted(value) for name, value in draft.defaults.items()
        }

    def frame_format(self, value: str) -> str:
        """Return the name of a VFrameFormat value given as name or number."""
        text = grammar.unquoted(value)
        if not text.isdigit():
            return text
        names = self._draft.enums.get("VFrameFormat") or FRAME_FORMATS
        position = int(text[:6])
        return names[position] if position < len(names) else ""

    def is_j1939(self) -> bool:
        """Return whether the whole file speaks of J1939."""
        told = (self.of_file.get("ProtocolType", ""), self.of_file.get("BusType", ""))
        return any("J1939" in text.upper() for text in told)


def assemble(draft: Draft) -> tuple[list[Message], list[DraftMessage]]:
    """Return the messages, and in the same order the drafts they were made from."""
    index = Index(draft.messages)
    attributes = Attributes(draft)
    _apply_defaults(draft, attributes)
    _apply_attributes(draft, index, attributes)
    _apply_comments(draft, index)
    _apply_choices(draft, index)
    _apply_floats(draft, index)
    _apply_multiplex(draft, index)
    _apply_senders(draft, index)
    kept = [message for message in draft.messages if not _is_no_message(message)]
    messages = [_message(draft, message, attributes) for message in kept]
    return messages, kept


def _is_no_message(message: DraftMessage) -> bool:
    return message.name == NO_MESSAGE_NAME or message.number == NO_MESSAGE_NUMBER


def _apply_defaults(draft: Draft, attributes: Attributes) -> None:
    cycle_time = number(attributes.of_file.get("GenMsgCycleTime"))
    frame_format = attributes.frame_format(attributes.of_file.get("VFrameFormat", ""))
    for message in draft.messages:
        message.cycle_time_ms = int(cycle_time) if cycle_time else None
        message.frame_format = frame_format


def _apply_attributes(draft: Draft, index: Index, attributes: Attributes) -> None:
    for place, name, value in draft.attributes:
        if place.kind == "BO_":
            for message in _messages(draft, index, place, f"attribute {name}"):
                _message_attribute(message, name, value, attributes)
        elif place.kind == "SG_":
            for signal in _signals(draft, index, place, f"attribute {name}"):
                _signal_attribute(draft, place, signal, name, value)
        elif place.kind == "BU_" and name == "SystemNodeLongSymbol":
            attributes.node_names[place.name] = grammar.unquoted(value)
        elif place.kind == "":
            attributes.of_file[name] = grammar.unquoted(value)


def _message_attribute(
    message: DraftMessage, name: str, value: str, attributes: Attributes
) -> None:
    if name == "GenMsgCycleTime":
        cycle_time = number(grammar.unquoted(value))
        message.cycle_time_ms = int(cycle_time) if cycle_time and cycle_time > 0 else None
    elif name == "VFrameFormat":
        message.frame_format = attributes.frame_format(value)
        message.has_own_format = True
    elif name == "SystemMessageLongSymbol":
        message.long_name = grammar.unquoted(value)[:LONG_NAME_MAX_CHARS]


def _signal_attribute(
    draft: Draft, place: Reference, signal: DraftSignal, name: str, value: str
) -> None:
    if name == "SystemSignalLongSymbol":
        signal.long_name = grammar.unquoted(value)[:LONG_NAME_MAX_CHARS]
    elif name == "GenSigStartValue":
        signal.initial = number(grammar.unquoted(value))
        if signal.initial is None:
            draft.notes.warning(
                place.at, f"the start value {short(value)} of {signal.name} is no number"
            )


def _apply_comments(draft: Draft, index: Index) -> None:
    for place, text in draft.comments:
        if place.kind == "BO_":
            for message in _messages(draft, index, place, "comment"):
                message.comment = text
        elif place.kind == "SG_":
            for signal in _signals(draft, index, place, "comment"):
                signal.comment = text


def _apply_choices(draft: Draft, index: Index) -> None:
    for place, choices in draft.choices:
        for signal in _signals(draft, index, place, "value table"):
            signal.choices = choices


def _apply_floats(draft: Draft, index: Index) -> None:
    for place, kind in draft.floats:
        for signal in _signals(draft, index, place, "value type"):
            if signal.length in FLOAT_BITS.get(kind, ()):
                signal.number = Number.FLOAT
            elif kind != 0:
                draft.notes.error(
                    place.at,
                    f"signal {signal.name} of {signal.length} bits is said to be a float of kind {kind}: "
                    "it is read as a whole number",
                )


def _apply_multiplex(draft: Draft, index: Index) -> None:
    for place, entry in draft.multiplex:
        for message in _messages(draft, index, place, "multiplexer range"):
            message.multiplex.append(entry)


def _apply_senders(draft: Draft, index: Index) -> None:
    for place, names in draft.senders:
        for message in _messages(draft, index, place, "list of senders"):
            message.senders += names


def _messages(draft: Draft, index: Index, place: Reference, what: str) -> list[DraftMessage]:
    found = index.messages(place.number)
    if not found and place.number != NO_MESSAGE_NUMBER:
        draft.notes.warning(place.at, f"{what} of message {place.number}, which is not here")
    return found


def _signals(draft: Draft, index: Index, place: Reference, what: str) -> list[DraftSignal]:
    found = index.signals(place.number, place.name)
    if not found and place.number != NO_MESSAGE_NUMBER:
        draft.notes.warning(
            place.at, f"{what} of signal {place.name} in message {place.number}, which is not here"
        )
    return found


def _message(draft: Draft, message: DraftMessage, attributes: Attributes) -> Message:
    frame_id, is_extended = _identifier(draft, message)
    by_pgn = is_extended and (
        message.frame_format == "J1939PG"
        or (attributes.is_j1939() and not (message.has_own_format and message.frame_format))
    )
    found, multiplexers = dbc_multiplex.resolve(draft.notes, message)
    signals = (
        _signal(signal, found[i], is_multiplexer=i in multiplexers)
        for i, signal in enumerate(message.signals)
    )
    names = attributes.node_names
    return Message(
        name=message.long_name or message.name,
        frame_id=frame_id,
        is_extended=is_extended,
        length=message.length,
        signals=tuple(signals),
        is_fd=message.frame_format.endswith("CAN_FD"),
        is_j1939=by_pgn,
        cycle_time_ms=message.cycle_time_ms,
        senders=tuple(
            dict.fromkeys(names.get(name, name) for name in message.senders if name != NOBODY)
        ),
        comment=message.comment,
    )


def _identifier(draft: Draft, message: DraftMessage) -> tuple[int, bool]:
    frame_id = message.number & 0x1FFF_FFFF
    is_extended = bool(message.number & EXTENDED_FLAG)
    if message.number & 0x7FFF_FFFF != frame_id:
        draft.notes.error(
            message.at,
            f"message {message.name} has an id of more than 29 bits, which no frame has: "
            f"the low 29, 0x{frame_id:x}, are kept",
        )
        is_extended = True
    elif frame_id > 0x7FF and not is_extended:
        draft.notes.warning(
            message.at,
            f"message {message.name} has the 29-bit id 0x{frame_id:x} without its flag (bit 31): "
            "taken as extended",
        )
        is_extended = True
    return frame_id, is_extended


def _signal(signal: DraftSignal, multiplex: Multiplex | None, *, is_multiplexer: bool) -> Signal:
    return Signal(
        name=signal.long_name or signal.name,
        start=signal.start,
        length=signal.length,
        byte_order=ByteOrder.LITTLE if signal.is_little else ByteOrder.BIG,
        number=signal.number or (Number.SIGNED if signal.is_signed else Number.UNSIGNED),
        scale=signal.scale,
        offset=signal.offset,
        minimum=signal.minimum,
        maximum=signal.maximum,
        unit=signal.unit,
        is_multiplexer=is_multiplexer,
        multiplex=multiplex,
        choices=signal.choices,
        initial=signal.initial,
        comment=signal.comment,
    )
