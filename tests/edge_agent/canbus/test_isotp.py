"""ISO 15765-2: messages arrive whole whatever the partner asks for, and what does not arrive says why."""

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus import isotp_frames as frames
from edge_agent.canbus.isotp import (
    MESSAGE_MAX_BYTES,
    N_BS_NS,
    N_CR_NS,
    WAITS_MAX,
    Channel,
    Terms,
)
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput, Unavailable
from tests.shared_data import shared

NISSAN = "edge/css_canedge/nissan_uds.candump.log.xz"
KONA = "edge/css_canedge/uds_2f6913db.candump.log.xz"
LENGTHS = (frames.CLASSIC_MAX_BYTES, *frames.FD_LENGTHS)

terms = st.builds(
    Terms,
    frame_bytes=st.sampled_from(LENGTHS),
    message_max_bytes=st.just(6000),
    block_size=st.integers(0, 255),
    st_min_ns=st.sampled_from([0, 100_000, 900_000, NS_PER_MS, 127 * NS_PER_MS]),
)
messages = st.integers(1, 6000).flatmap(lambda n: st.binary(min_size=n, max_size=n))


def carried(message: bytes, ours: Terms, theirs: Terms) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Let a client with `ours` send to one with `theirs`; return what came, and when each frame went."""
    client, ecu, now_ns, wire = Channel(ours), Channel(theirs), 1, list[tuple[int, bytes]]()
    client.start(message, now_ns=now_ns)
    while True:
        for frame in client.due(now_ns=now_ns):
            wire.append((now_ns, frame))
            whole = ecu.take(frame, now_ns=now_ns)
            if whole is not None:
                assert not client.is_sending
                assert not ecu.is_receiving
                return whole, wire
        for frame in ecu.due(now_ns=now_ns):
            wire.append((now_ns, frame))
            assert client.take(frame, now_ns=now_ns) is None
        due_ns = client.due_ns
        assert due_ns is not None
        now_ns = max(now_ns, due_ns)


def hexed(out: list[bytes]) -> list[str]:
    return [frame.hex(" ") for frame in out]


@given(messages, terms, terms)
def test_a_message_survives_every_length_of_frame_and_every_flow_control(message, ours, theirs):
    assert carried(message, ours, theirs)[0] == message


@given(messages, terms, terms)
def test_block_size_and_separation_are_kept(message, ours, theirs):
    _, wire = carried(message, ours, theirs)

    in_block, last_ns = 0, None
    for time_ns, frame in wire:
        if frame[0] >> 4 == 3:
            in_block, last_ns = 0, None
        elif frame[0] >> 4 == 2:
            in_block += 1
            assert theirs.block_size == 0 or in_block <= theirs.block_size
            assert last_ns is None or time_ns - last_ns >= theirs.st_min_ns
            last_ns = time_ns


@given(messages, terms)
def test_every_frame_has_a_length_that_a_bus_carries(message, ours):
    _, wire = carried(message, ours, Terms(message_max_bytes=6000))

    assert {len(frame) for _, frame in wire} <= {n for n in LENGTHS if n <= ours.frame_bytes}


@given(st.lists(st.tuples(st.binary(max_size=64), st.integers(0, 2 * N_CR_NS))))
def test_garbage_is_ignored_or_refused_and_the_next_message_arrives(arriving):
    channel, now_ns = Channel(), 0
    channel.start(bytes(100), now_ns=0)
    for data, later_ns in arriving:
        now_ns += later_ns
        try:
            message = channel.take(data, now_ns=now_ns)
            channel.due(now_ns=now_ns)
        except Unavailable:
            continue
        assert message is None or 0 < len(message) <= MESSAGE_MAX_BYTES

    assert channel.take(bytes.fromhex("02 50 03"), now_ns=now_ns) == b"\x50\x03"


def test_a_short_message_is_one_padded_frame():
    channel = Channel()
    channel.start(bytes.fromhex("19 02 ff"), now_ns=0)

    assert hexed(channel.due(now_ns=0)) == ["03 19 02 ff cc cc cc cc"]
    assert not channel.is_sending


def test_a_long_message_waits_for_flow_control_and_counts_from_one():
    channel = Channel()
    channel.start(bytes(range(20)), now_ns=0)

    assert hexed(channel.due(now_ns=0)) == ["10 14 00 01 02 03 04 05"]
    assert channel.due(now_ns=1) == []
    assert channel.take(bytes.fromhex("30 00 00"), now_ns=2) is None
    assert hexed(channel.due(now_ns=2)) == ["21 06 07 08 09 0a 0b 0c", "22 0d 0e 0f 10 11 12 13"]


def test_a_message_beyond_4095_bytes_escapes_to_32_bits():
    channel = Channel()
    channel.start(bytes(4096), now_ns=0)

    assert hexed(channel.due(now_ns=0)) == ["10 00 00 00 10 00 00 00"]


def test_a_can_fd_frame_above_8_bytes_escapes_to_a_second_byte():
    channel = Channel(Terms(frame_bytes=64))
    channel.start(bytes(9), now_ns=0)

    assert hexed(channel.due(now_ns=0)) == ["00 09 00 00 00 00 00 00 00 00 00 cc"]


def test_we_ask_for_blocks_and_pauses_when_we_receive():
    channel = Channel(Terms(block_size=1, st_min_ns=10 * NS_PER_MS))
    channel.take(bytes.fromhex("10 14 00 01 02 03 04 05"), now_ns=0)

    assert channel.due_ns == 0
    assert hexed(channel.due(now_ns=0)) == ["30 01 0a cc cc cc cc cc"]
    assert channel.take(bytes.fromhex("21 06 07 08 09 0a 0b 0c"), now_ns=1) is None
    assert hexed(channel.due(now_ns=1)) == ["30 01 0a cc cc cc cc cc"]
    assert channel.take(bytes.fromhex("22 0d 0e 0f 10 11 12 13"), now_ns=2) == bytes(range(20))
    assert channel.due(now_ns=2) == []


def test_without_flow_control_a_message_fails_and_names_the_timer():
    channel = Channel()
    channel.start(bytes(20), now_ns=0)
    channel.due(now_ns=0)

    assert channel.due_ns == N_BS_NS
    assert channel.due(now_ns=N_BS_NS - 1) == []
    with pytest.raises(Unavailable, match="N_Bs"):
        channel.due(now_ns=N_BS_NS)
    assert channel.due_ns is None


def test_a_receiver_that_asks_to_wait_starts_the_timer_anew_but_not_for_ever():
    channel, now_ns = Channel(), 0
    channel.start(bytes(20), now_ns=0)
    channel.due(now_ns=0)
    for _ in range(WAITS_MAX):
        now_ns += N_BS_NS - 1
        channel.take(bytes.fromhex("31 00 00"), now_ns=now_ns)
        assert channel.due(now_ns=now_ns) == []

    with pytest.raises(Unavailable, match="N_WFTmax"):
        channel.take(bytes.fromhex("31 00 00"), now_ns=now_ns)


def test_a_receiver_without_room_ends_the_message():
    channel = Channel()
    channel.start(bytes(20), now_ns=0)
    channel.due(now_ns=0)

    with pytest.raises(Unavailable, match="no room for 20 bytes"):
        channel.take(bytes.fromhex("32 00 00"), now_ns=1)
    assert not channel.is_sending


def test_a_missing_frame_ends_the_message_and_the_rest_of_it_is_ignored():
    channel = Channel()
    channel.take(bytes.fromhex("10 20 00 01 02 03 04 05"), now_ns=0)

    with pytest.raises(Unavailable, match="consecutive frame 2 came where 1 was due"):
        channel.take(bytes.fromhex("22 0d 0e 0f 10 11 12 13"), now_ns=1)
    assert channel.take(bytes.fromhex("23 00 00 00 00 00 00 00"), now_ns=2) is None
    assert not channel.is_receiving


def test_a_frame_with_too_little_in_it_ends_the_message():
    channel = Channel()
    channel.take(bytes.fromhex("10 20 00 01 02 03 04 05"), now_ns=0)

    with pytest.raises(Unavailable, match="consecutive frame 1 has 3 bytes: too few"):
        channel.take(bytes.fromhex("21 06 07 08"), now_ns=1)
    assert not channel.is_receiving


def test_a_flow_control_that_nobody_waits_for_changes_nothing():
    channel = Channel()
    assert channel.take(bytes.fromhex("32 00 00"), now_ns=0) is None
    channel.start(bytes.fromhex("3e 00"), now_ns=0)
    channel.take(bytes.fromhex("32 00 00"), now_ns=0)

    assert hexed(channel.due(now_ns=0)) == ["02 3e 00 cc cc cc cc cc"]


def test_a_sender_that_falls_silent_is_given_up_after_n_cr():
    channel = Channel()
    channel.take(bytes.fromhex("10 14 00 01 02 03 04 05"), now_ns=0)
    channel.due(now_ns=0)

    assert channel.due_ns == N_CR_NS
    with pytest.raises(Unavailable, match=r"N_Cr\) after 6 of 20 bytes"):
        channel.due(now_ns=N_CR_NS)
    assert channel.due_ns is None


def test_a_message_beyond_the_limit_is_refused_in_its_first_frame():
    channel = Channel()

    with pytest.raises(Unavailable, match="longer than the 4095 bytes"):
        channel.take(bytes.fromhex("10 00 ff ff ff ff 00 00"), now_ns=0)
    assert hexed(channel.due(now_ns=0)) == ["32 00 00 cc cc cc cc cc"]


def test_a_new_message_takes_the_place_of_one_that_was_broken_off():
    channel = Channel()
    channel.take(bytes.fromhex("10 14 00 01 02 03 04 05"), now_ns=0)

    assert channel.take(bytes.fromhex("03 7f 19 78"), now_ns=1) == b"\x7f\x19\x78"
    assert not channel.is_receiving


@pytest.mark.parametrize(
    "ignored",
    [
        "",
        "00",  # a single frame of nothing
        "08 00 00 00 00 00 00 00",  # of more than it holds
        "05 01 02",
        "10 06 00 00 00 00 00 00",  # a first frame of what a single one holds
        "10 14 00 01",  # shorter than any first frame
        "10 00 00 00 0f ff 00 00",  # an escape that was not needed
        "20",
        "30 00",
        "33 00 00",  # a reserved status
        "40 00 00 00 00 00 00 00",
        "01 02 03 04 05 06 07 08 09 0a 0b 0c",  # CAN FD with a short length
        "00 07 02 03 04 05 06 07 08 09 0a 0b",  # CAN FD for what a classic frame holds
    ],
)
def test_what_the_standard_ignores_is_bad_input(ignored):
    with pytest.raises(BadInput):
        frames.part_of(bytes.fromhex(ignored))


@given(st.integers(0, 127 * NS_PER_MS))
def test_a_separation_is_never_said_shorter_than_it_is(separation_ns):
    said_ns = frames.st_min_ns_of(frames.st_min_of(separation_ns))

    assert separation_ns <= said_ns <= max(separation_ns + NS_PER_MS, 100_000)


def test_reserved_separations_mean_the_longest():
    assert {frames.st_min_ns_of(code) for code in (0x80, 0xF0, 0xFA, 0xFF)} == {127 * NS_PER_MS}


@pytest.mark.parametrize("terms", [{"frame_bytes": 7}, {"frame_bytes": 65}, {"block_size": 256}])
def test_terms_that_no_frame_can_say_are_refused(terms):
    with pytest.raises(BadInput):
        Terms(**terms)


def test_nothing_is_no_message():
    with pytest.raises(BadInput):
        Channel().start(b"", now_ns=0)


def recorded(name: str) -> list[tuple[int, str, bytes]]:
    """Return (time, id, data) of every frame of a candump log."""
    found = []
    for line in lzma.decompress(shared(name).read_bytes()).decode().splitlines():
        stamp, _, frame = line.split()
        can_id, _, data = frame.partition("#")
        found.append((round(float(stamp[1:-1]) * 1e9), can_id, bytes.fromhex(data.lstrip("#"))))
    return found


def test_what_two_control_units_of_a_nissan_sent_reassembles():
    channels = {"7BB": Channel(), "7EC": Channel()}
    messages = {"7BB": list[bytes](), "7EC": list[bytes]()}
    log = recorded(NISSAN)
    for time_ns, can_id, data in log:
        message = channels[can_id].take(data, now_ns=time_ns)
        channels[can_id].due(now_ns=time_ns)  # raises when a frame is late
        if message is not None:
            messages[can_id].append(message)

    # All 300 first frames and all 1,710 others: 30 of the first ones have no others in the log.
    begun = [data for _, _, data in log if data[0] >> 4 == 1]
    later = {"7BB": 5, "7EC": 8}  # frames of 7 bytes that complete 38 and 62 bytes
    assert len(begun) == 300
    assert sum(later[can_id] * len(found) for can_id, found in messages.items()) == 1710
    assert {name: len(found) for name, found in messages.items()} == {"7BB": 150, "7EC": 120}
    assert {len(message) for message in messages["7BB"]} == {0x26}
    assert {len(message) for message in messages["7EC"]} == {0x3E}
    assert {message[:3].hex() for found in messages.values() for message in found} == {
        "620100",
        "620101",
    }


def test_a_recorded_dialogue_is_what_our_two_ends_would_have_said():
    tester, ecu, answers, requests = Channel(), Channel(), list[bytes](), list[bytes]()
    for time_ns, can_id, data in recorded(KONA):
        if can_id == "79B" and data[0] >> 4 == 3:
            # Their flow control, byte for byte but for the fill, is what our tester has ready.
            assert [frame[:3] for frame in tester.due(now_ns=time_ns)] == [data[:3]]
        elif can_id == "79B":
            requests.append(ecu.take(data, now_ns=time_ns) or b"")
        elif can_id == "7BB":
            message = tester.take(data, now_ns=time_ns)
            answers += [] if message is None else [message]

    assert len(requests) == len(answers) == 26
    assert [(a[0], a[1]) for a in answers] == [(r[0] + 0x40, r[1]) for r in requests]
    assert {len(answer) for answer in answers} == {0x35, 0x1F}
