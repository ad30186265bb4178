"""Random messages and payloads, well made or not, for properties that must hold for all of them."""

from hypothesis import strategies as st

from edge_agent.canbus.frames import EXTENDED, Frame
from edge_agent.canbus.model import ByteOrder, Database, Message, Multiplex, Number, Signal

SCALES = [1.0, 0.5, 0.01, -0.1, 2.0, 1e-9, 1e300, 0.0, 3.0]
OFFSETS = [0.0, -40.0, 0.1, 1e6, -0.0]

payloads = st.binary(max_size=72)
ids = st.sampled_from([0x100, 0x101, 0x7FF, 0x18FEF100, 0x0CF00400])


@st.composite
def signals(draw, position: int, length_bytes: int, parents: list[int]) -> Signal:
    """Draw a signal, mostly inside the message, of any layout a database can express."""
    number = draw(st.sampled_from(list(Number)))
    width = st.one_of(st.integers(1, 16), st.integers(1, 64), st.integers(65, 200))
    length = draw(st.sampled_from([16, 32, 64]) if number is Number.FLOAT else width)
    order = draw(st.sampled_from(list(ByteOrder)))
    start = draw(st.integers(0, max(8 * length_bytes - 1, 0)))
    multiplex = None
    if parents and draw(st.booleans()):
        bounds = st.tuples(st.integers(-4, 40), st.integers(0, 6))
        ranges = draw(st.lists(bounds, min_size=1, max_size=3))
        parent = draw(st.sampled_from(parents))
        multiplex = Multiplex(parent, tuple((low, low + more) for low, more in ranges))
    return Signal(
        f"S{position}",
        start,
        length,
        order,
        number,
        draw(st.sampled_from(SCALES)),
        draw(st.sampled_from(OFFSETS)),
        multiplex=multiplex,
    )


@st.composite
def messages(draw, *, frame_id: st.SearchStrategy[int] = ids) -> Message:
    """Draw a message of 0 to 10 signals; some select others, also over several levels."""
    length = draw(st.sampled_from([0, 1, 3, 4, 7, 8, 8, 8, 12, 20, 48, 64]))
    found: list[Signal] = []
    for position in range(draw(st.integers(0, 10))):
        parents = [i for i, signal in enumerate(found) if signal.length <= 12]
        found.append(draw(signals(position, length, parents)))
    can_id = draw(frame_id)
    return Message("M", can_id, is_extended=can_id > 0x7FF, length=length, signals=tuple(found))


@st.composite
def databases(draw) -> Database:
    """Draw a database of a few messages, sometimes matched by PGN."""
    found = draw(st.lists(messages(), min_size=1, max_size=3))
    return Database("random", tuple(found), is_j1939=draw(st.booleans()))


@st.composite
def frames(draw) -> Frame:
    """Draw a frame that a random database may know, or garbage."""
    known = ids.map(lambda can_id: can_id | (EXTENDED if can_id > 0x7FF else 0))
    can_id = draw(st.one_of(known, known, known, st.integers(0, 0xFFFF_FFFF)))
    return Frame(can_id, draw(payloads), bus=draw(st.sampled_from([0, 0, 0, 1, 255])))
