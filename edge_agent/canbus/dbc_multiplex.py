"""Who multiplexes whom: from the marks of SG_ lines and from SG_MUL_VAL_ statements.

    SG_ Mode M : ...               the multiplexer
    SG_ Speed m3 : ...             in the frame when Mode is 3
    SG_ Page m4M : ...             in the frame when Mode is 4, and a multiplexer itself
    SG_MUL_VAL_ 100 Row Page 2-5;  in the frame when Page is 2 to 5; it outweighs the mark

Rule 1: a signal whose multiplexer cannot be told is read from every frame, and that is an error in the list.
Rule 2: what depends on itself, or on too many others, is cut loose.
"""

from collections.abc import Mapping

from edge_agent.canbus.dbc_draft import DraftMessage, DraftSignal, MultiplexRange, Notes
from edge_agent.canbus.model import Multiplex

# Real databases nest 3 deep; a decoder walks this chain for every signal.
NESTING_MAX = 8

# SG_MUL_VAL_ often keeps the 32 characters of a name that its SG_ line spells in full, and the reverse.
SHORT_NAME_CHARS = 32


def resolve(notes: Notes, message: DraftMessage) -> tuple[list[Multiplex | None], set[int]]:
    """Return, for each signal of `message`, when it is in the frame; and which are multiplexers."""
    signals = message.signals
    if not message.multiplex and not any(signal.mark for signal in signals):
        return [None] * len(signals), set()
    positions = _positions(signals)
    found: list[Multiplex | None] = [None] * len(signals)
    said = _said(notes, message, positions, found)
    root = _root(notes, message, said, {entry.parent for entry in found if entry is not None})
    for position, signal in enumerate(signals):
        if position in said or position == root or signal.mark in ("", "M"):
            continue
        value = signal.mark.strip("mM")
        if root is not None and value:
            found[position] = Multiplex(root, ((int(value), int(value)),))
        elif not (signal.mark.endswith("M") and not value):
            notes.error(
                signal.at,
                f"signal {signal.name} is multiplexed but its multiplexer cannot be told: "
                "it is read from every frame",
            )
    _cut_loops(notes, signals, found)
    parents = {entry.parent for entry in found if entry is not None}
    marked = {i for i, signal in enumerate(signals) if signal.mark.endswith("M")}
    return found, parents | marked


def _positions(signals: list[DraftSignal]) -> dict[str, int]:
    """Return where each name stands; the first of a repeated name, and exact names before short ones."""
    positions: dict[str, int] = {}
    for position, signal in enumerate(signals):
        positions.setdefault(signal.name, position)
    for position, signal in enumerate(signals):
        positions.setdefault(signal.long_name, position)
        positions.setdefault(signal.name[:SHORT_NAME_CHARS], position)
        positions.setdefault(signal.long_name[:SHORT_NAME_CHARS], position)
    return positions


def _position(positions: Mapping[str, int], name: str) -> int | None:
    return positions.get(name, positions.get(name[:SHORT_NAME_CHARS]))


def _said(
    notes: Notes,
    message: DraftMessage,
    positions: Mapping[str, int],
    found: list[Multiplex | None],
) -> set[int]:
    """Put what SG_MUL_VAL_ says into `found`; return the positions it speaks of."""
    parents: dict[int, int] = {}
    ranges: dict[int, list[tuple[int, int]]] = {}
    for entry in message.multiplex:
        child, parent = _position(positions, entry.child), _position(positions, entry.parent)
        if child is None or parent is None:
            unknown = entry.child if child is None else entry.parent
            notes.error(entry.at, f"message {message.name} has no signal {unknown} to multiplex")
        elif parents.setdefault(child, parent) != parent:
            notes.error(entry.at, f"signal {entry.child} has a second multiplexer {entry.parent}")
        else:
            ranges.setdefault(child, []).extend(_ranges(notes, entry))
    for child, values in ranges.items():
        if values:
            found[child] = Multiplex(parents[child], tuple(values))
    return {child for child, values in ranges.items() if values}


def _ranges(notes: Notes, entry: MultiplexRange) -> tuple[tuple[int, int], ...]:
    kept = tuple((low, high) for low, high in entry.ranges if low <= high)
    if len(kept) < len(entry.ranges) or not kept:
        notes.error(entry.at, f"signal {entry.child} has an empty range of multiplexer values")
    return kept


def _root(notes: Notes, message: DraftMessage, said: set[int], parents: set[int]) -> int | None:
    """Return the multiplexer that marks without a SG_MUL_VAL_ statement refer to."""
    signals = message.signals
    roots = [i for i, signal in enumerate(signals) if signal.mark == "M" and i not in said]
    if len(roots) == 1:
        return roots[0]
    children = [i for i, signal in enumerate(signals) if signal.mark[:1] == "m"]
    if roots or not children:
        return None
    bare = [i for i in children if signals[i].mark == "m" and i not in said]
    if len(bare) == 1 and len(children) > 1 and parents <= {bare[0]}:
        signal = signals[bare[0]]
        notes.warning(
            signal.at, f"signal {signal.name} is marked m instead of M: taken as the multiplexer"
        )
        return bare[0]
    return None


def _cut_loops(notes: Notes, signals: list[DraftSignal], found: list[Multiplex | None]) -> None:
    for position, signal in enumerate(signals):
        steps, entry = 0, found[position]
        while entry is not None and steps <= NESTING_MAX:
            steps, entry = steps + 1, found[entry.parent]
        if steps > NESTING_MAX:
            notes.error(
                signal.at,
                f"signal {signal.name} depends on itself or on more than {NESTING_MAX} multiplexers: "
                "it is read from every frame",
            )
            found[position] = None
