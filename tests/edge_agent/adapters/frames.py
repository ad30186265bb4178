"""Frames for tests: one strategy for every format and every bus."""

from hypothesis import strategies as st

from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR_STATE,
    EXTENDED,
    FD,
    REMOTE,
    SENT_HERE,
    Frame,
    FrameBlock,
)

START_NS = 1_533_226_488_228_954_123
FD_LENGTHS = [*range(9), 12, 16, 20, 24, 32, 48, 64]

ids = st.integers(0, 0x7FF) | st.integers(0, 0x1FFF_FFFF).map(lambda n: n | EXTENDED)
classic_data = st.binary(max_size=8)
fd_data = st.sampled_from(FD_LENGTHS).flatmap(lambda n: st.binary(min_size=n, max_size=n))
fd_flags = st.sampled_from([0, BIT_RATE_SWITCH, ERROR_STATE, BIT_RATE_SWITCH | ERROR_STATE])
directions = st.sampled_from([0, SENT_HERE])
times = st.integers(0, 10**11).map(lambda n: START_NS + n)
buses = st.integers(0, 3)

classic = st.builds(Frame, ids, classic_data, times, buses, directions)
fd = st.builds(
    Frame, ids, fd_data, times, buses, st.builds(lambda a, b: FD | a | b, fd_flags, directions)
)
remote = st.builds(Frame, ids.map(lambda n: n | REMOTE), st.just(b""), times, buses, directions)
any_frame = st.one_of(classic, fd, remote)

# Both ends of what a log holds are there, whatever else is.
lists = st.lists(any_frame, min_size=1, max_size=40).map(
    lambda frames: sorted(frames, key=lambda frame: frame.time_ns)
)


def frames_of(blocks) -> list[Frame]:
    return [frame for block in blocks for frame in block.frames()]


def same(left: FrameBlock, right: FrameBlock) -> bool:
    return list(left.frames()) == list(right.frames())
