from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus import frames
from edge_agent.canbus.frames import Frame

FRAMES = st.builds(
    Frame,
    can_id=st.integers(0, 0xFFFF_FFFF),
    data=st.binary(max_size=64),
    time_ns=st.integers(0, 50),
    bus=st.integers(0, 255),
    flags=st.integers(0, 15),
)


@given(st.lists(FRAMES, max_size=20))
def test_frames_survive_being_columns(several: list[Frame]):
    assert list(frames.block_of(several).frames()) == several


@given(st.lists(st.lists(FRAMES, max_size=8), min_size=1, max_size=4))
def test_joined_blocks_stand_in_order_of_arrival(lists: list[list[Frame]]):
    whole = frames.joined([frames.block_of(several) for several in lists])

    in_order = sorted((frame for several in lists for frame in several), key=lambda f: f.time_ns)
    assert list(whole.frames()) == in_order
