"""What is odd about a database once it is read, whatever its format was.

Rule 1: everything found here was taken over as declared, so it is a warning; readers report errors.
Rule 2: two signals may share bits when no value of their multiplexers lets both into one frame.
Rule 3: the work is bounded: a message with very many signals is not compared to the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.canbus.model import ByteOrder, Message, Number, Problem, Signal

CAN_MAX_BYTES = 8
CAN_FD_BYTES = frozenset((*range(9), 12, 16, 20, 24, 32, 48, 64))

# A person reads these: more of them say no more.
PROBLEMS_MAX = 1_000
# The richest message of the corpora (700 multiplexed signals) needs 60,000.
COMPARISONS_MAX = 500_000

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message and its signals stand in their file; 0 where the format has no lines."""

    line: int
    signals: tuple[int, ...]


def check(messages: Sequence[Message], places: Sequence[Place]) -> list[Problem]:
    """Return what deserves a look, in the order of the messages."""
    problems: list[Problem] = []
    for line, text in _oddities(messages, places):
        if len(problems) == PROBLEMS_MAX:
            problems.append(Problem(0, "warning", "further oddities are not listed"))
            break
        problems.append(Problem(line, "warning", text))
    return problems


def _oddities(messages: Sequence[Message], places: Sequence[Place]) -> Iterator[tuple[int, str]]:
    yield from _repeated(messages, places)
    for message, place in zip(messages, places, strict=True):
        yield from ((place.line, text) for text in _of_message(message))
        names: set[str] = set()
        for signal, line in zip(message.signals, place.signals, strict=True):
            where = f"signal {signal.name} of {message.name}"
            if signal.name in names:
                yield line, f"{where} has the name of an earlier signal"
            names.add(signal.name)
            yield from ((line, f"{where} {text}") for text in _of_signal(message, signal))
        yield from ((place.signals[position], text) for position, text in _overlaps(message))


def _repeated(messages: Sequence[Message], places: Sequence[Place]) -> Iterator[tuple[int, str]]:
    ids: dict[tuple[int, bool], str] = {}
    names: set[str] = set()
    for message, place in zip(messages, places, strict=True):
        key = (message.frame_id, message.is_extended)
        if key in ids:
            yield place.line, f"message {message.name} has the id 0x{key[0]:x} of {ids[key]}"
        elif message.name in names:
            yield place.line, f"message {message.name} has the name of an earlier message"
        ids.setdefault(key, message.name)
        names.add(message.name)


def _of_message(message: Message) -> Iterator[str]:
    if message.is_fd and message.length not in CAN_FD_BYTES:
        yield f"message {message.name} has {message.length} bytes, which no CAN FD frame has"
    elif message.length > CAN_MAX_BYTES and not message.is_fd and not message.is_j1939:
        yield (
            f"message {message.name} has {message.length} bytes but is not declared as CAN FD: "
            "such frames are decoded all the same"
        )


def _of_signal(message: Message, signal: Signal) -> Iterator[str]:
    if bits(signal) >> (8 * message.length):
        yield f"reaches beyond the {message.length} bytes of its message"
    if signal.scale == 0:
        yield "has the factor 0: every value reads as its offset"
    if (
        signal.minimum is not None
        and signal.maximum is not None
        and signal.minimum > signal.maximum
    ):
        yield f"has a minimum {signal.minimum:g} above its maximum {signal.maximum:g}"
    yield from _of_raw_values(signal)
    if signal.multiplex is not None:
        parent = message.signals[signal.multiplex.parent]
        low, high = raw_limits(parent)
        if not any(first <= high and last >= low for first, last in signal.multiplex.ranges):
            yield f"waits for a value that its multiplexer {parent.name} cannot have"


def _of_raw_values(signal: Signal) -> Iterator[str]:
    if signal.number is Number.FLOAT:
        return
    low, high = raw_limits(signal)
    width = f"{signal.length} {signal.number.value} bits"
    outside = [value for value, _ in signal.choices if not low <= value <= high]
    if outside:
        yield f"names the value {outside[0]}, which {width} cannot hold"
    if len({value for value, _ in signal.choices}) < len(signal.choices):
        yield "names a value twice"
    if signal.initial is not None and not low <= signal.initial <= high:
        yield f"starts at the raw value {signal.initial:g}, which {width} cannot hold"


def raw_limits(signal: Signal) -> tuple[int, int]:
    """Return the smallest and the largest raw value that the signal's bits can hold."""
    if signal.number is Number.SIGNED:
        return -(1 << (signal.length - 1)), (1 << (signal.length - 1)) - 1
    return 0, (1 << signal.length) - 1


def bits(signal: Signal) -> int:
    """Return the bits of the frame that the signal takes, as a mask (bit b of byte n is 8 * n + b)."""
    ones = (1 << signal.length) - 1
    if signal.byte_order is ByteOrder.LITTLE:
        return ones << signal.start
    first = signal.start // 8 * 8 + 7 - signal.start % 8  # counted from the frame's first bit sent
    size = (first + signal.length + 7) // 8
    return int.from_bytes(
        (ones << (8 * size - first - signal.length)).to_bytes(size, "big"), "little"
    )


def _overlaps(message: Message) -> Iterator[tuple[int, str]]:
    """Yield the position of each signal that shares bits with an earlier one, and a sentence."""
    taken, left = 0, COMPARISONS_MAX
    masks: list[int] = []
    conditions: list[dict[int, Ranges]] = []
    for position, signal in enumerate(message.signals):
        mask, condition = bits(signal), _condition(message, position)
        if taken & mask:
            for earlier, other in enumerate(masks):
                left -= 1 + sum(map(len, condition.values()))
                if other & mask and _can_meet(condition, conditions[earlier]):
                    name = message.signals[earlier].name
                    yield position, f"signal {signal.name} of {message.name} overlaps {name}"
                    break
        if left < 0:
            yield position, f"message {message.name} has too many signals to compare them all"
            return
        taken |= mask
        masks.append(mask)
        conditions.append(condition)


def _condition(message: Message, position: int) -> dict[int, Ranges]:
    """Return what must hold for the signal to be in the frame: multiplexer position -> its values."""
    condition: dict[int, Ranges] = {}
    multiplex = message.signals[position].multiplex
    while multiplex is not None and multiplex.parent not in condition:
        condition[multiplex.parent] = multiplex.ranges
        multiplex = message.signals[multiplex.parent].multiplex
    return condition


def _can_meet(one: dict[int, Ranges], other: dict[int, Ranges]) -> bool:
    return all(
        any(low <= b and a <= high for low, high in one[parent] for a, b in other[parent])
        for parent in one.keys() & other.keys()
    )
