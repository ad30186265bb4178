"""Every log format: what we write we read back, others read ours, we read theirs, garbage costs only itself."""

import dataclasses
import gzip
import lzma
from pathlib import Path
from typing import Any

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters import log_model
from edge_agent.adapters.can_bus import message_of
from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.log_writers import open_writer
from edge_agent.canbus.frames import ERROR, EXTENDED, FD, REMOTE, SENT_HERE, Frame, block_of
from edge_agent.canbus.source import REPLAY_BLOCK_MAX_FRAMES
from fairway.errors import BadInput, FairwayError
from tests.edge_agent.adapters.frames import START_NS, classic, frames_of, lists
from tests.shared_data import shared

SUFFIXES = [".log", ".asc", ".trc", ".blf"]
NAMES = {f"can{n}": n for n in range(8)}


def write(path: Path, frames: list[Frame]) -> Path:
    writer = open_writer(path)
    writer.write(block_of(frames))
    writer.close()
    assert writer.left_out == 0
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".log.xz", ".asc.gz"])
@settings(max_examples=60)
@given(frames=lists)
def test_what_is_written_is_read_back_to_the_nanosecond(folder: Path, suffix: str, frames):
    path = write(folder / f"drive{suffix}", frames)

    assert frames_of(open_log(path, NAMES)) == frames


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_error_frame_is_read_back_as_one(tmp_path: Path, suffix: str):
    path = write(
        tmp_path / f"errors{suffix}", [Frame(ERROR, b"", START_NS), Frame(1, b"x", START_NS)]
    )

    assert [frame.can_id & ERROR for frame in frames_of(open_log(path, NAMES))] == [ERROR, 0]


READERS: dict[str, Any] = {
    ".log": can.CanutilsLogReader,
    ".asc": lambda path: can.ASCReader(path, relative_timestamp=False),
    ".trc": can.TRCReader,
    ".blf": can.BLFReader,
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=30)
@given(frames=lists)
def test_python_can_reads_what_we_write(folder: Path, suffix: str, frames):
    frames = [f for f in frames if is_common(f, suffix)] or [Frame(1, b"", START_NS)]
    path = write(folder / f"theirs{suffix}", frames)

    with READERS[suffix](path) as reader:
        messages = list(reader)

    assert [shape(message) for message in messages] == [shape(message_of(f)) for f in frames]
    # It keeps stamps as floats: good to a quarter of a microsecond.
    for message, frame in zip(messages, frames, strict=True):
        assert message.timestamp == pytest.approx(frame.time_ns / 1e9, rel=0, abs=1e-6)


def is_common(frame: Frame, suffix: str) -> bool:
    """Whether python-can can say the frame in that format.

    It takes an empty CAN FD frame in ASC for a remote one; in TRC it writes neither CAN FD nor remote frames,
    and mixes up the flags of CAN FD types when it reads them.
    """
    if suffix == ".asc":
        return not (frame.flags & FD and not frame.data)
    return suffix != ".trc" or not (frame.flags & FD or frame.can_id & REMOTE)


def shape(message: can.Message) -> tuple[object, ...]:
    is_fd = message.is_fd
    return (
        message.arbitration_id,
        message.is_extended_id,
        message.is_remote_frame,
        is_fd,
        bytes(message.data) if not message.is_remote_frame else b"",
        message.bitrate_switch if is_fd else False,
        message.error_state_indicator if is_fd else False,
    )


WRITERS: dict[str, Any] = {
    ".log": can.CanutilsLogWriter,
    ".asc": can.ASCWriter,
    ".trc": can.TRCWriter,
    ".blf": can.BLFWriter,
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=30)
@given(frames=lists)
def test_we_read_what_python_can_writes(folder: Path, suffix: str, frames):
    frames = [f for f in frames if is_common(f, suffix)] or [Frame(1, b"", START_NS)]
    path = folder / f"ours{suffix}"
    with WRITERS[suffix](path) as writer:
        for frame in frames:
            message = message_of(frame)
            message.channel = frame.bus
            message.is_rx = not frame.flags & SENT_HERE
            writer.on_message_received(message)

    ours = frames_of(open_log(path, NAMES))

    assert [dataclasses.replace(f, time_ns=0) for f in ours] == [
        dataclasses.replace(f, time_ns=0) for f in frames
    ]
    # In ASC it writes the start badly (".1" for one millisecond) but counts from the first frame.
    late_ns = ours[0].time_ns - frames[0].time_ns if suffix == ".asc" else 0
    for mine, frame in zip(ours, frames, strict=True):
        assert abs(mine.time_ns - frame.time_ns - late_ns) <= 2_000


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".log.xz", ".log.gz", ".mf4"])
@settings(max_examples=80)
@given(content=st.binary(max_size=600))
def test_garbage_is_refused_in_one_sentence(folder: Path, suffix: str, content: bytes):
    path = folder / f"garbage{suffix}"
    path.write_bytes(content)

    with pytest.raises(BadInput) as refused:
        frames_of(open_log(path, NAMES))

    assert "\n" not in str(refused.value)


@pytest.mark.slow
@settings(max_examples=60)
@given(damage=st.binary(min_size=1, max_size=8), at=st.integers(0, 1200) | st.integers(0, 70_000))
def test_a_damaged_mf4_gives_what_it_has_or_is_refused(folder: Path, damage: bytes, at: int):
    content = bytearray(shared("can/logs/css-electronics/uds-fcbf0606.MF4").read_bytes())
    content[at : at + len(damage)] = damage
    path = folder / "damaged.mf4"
    path.write_bytes(content)

    log = open_log(path)
    try:
        frames = frames_of(log)
    except BadInput:
        return

    assert len(frames) == log.report.frames


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".log.xz", ".asc.gz"])
@settings(max_examples=80)
@given(
    frames=st.lists(classic, min_size=30, max_size=30),
    damage=st.binary(min_size=1, max_size=30),
    at=st.floats(0, 1),
)
def test_damage_in_the_middle_never_raises_anything_else(folder: Path, suffix, frames, damage, at):
    path = write(folder / f"damaged{suffix}", sorted(frames, key=lambda f: f.time_ns))
    content = bytearray(path.read_bytes())
    place = int(at * len(content))
    content[place : place + len(damage)] = damage
    path.write_bytes(content)

    log = open_log(path)
    try:
        read = frames_of(log)
    except FairwayError:
        return

    assert len(read) <= 30 + len(damage)
    assert len(read) == log.report.frames


def test_a_bad_line_costs_only_itself_and_is_named(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_text(
        "(1.000001) can0 123#00\nrubbish\n\n(1.000002) can0 123#0\n(1.000003) can0 FFF#00\n"
        "(1.000004) can0 123#0011\n(1.5) can0 123#112233445566778899\n"
    )

    log = open_log(path)
    frames = frames_of(log)

    assert [(frame.time_ns, frame.data.hex()) for frame in frames] == [
        (1_000_001_000, "00"),
        (1_000_004_000, "0011"),
    ]
    assert [line for line, _ in log.report.first_malformed] == [2, 4, 5, 7]
    assert log.report.malformed == 4


def test_candump_lines_of_every_shape(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_text(
        "(1533226488.228954) can0 260#08FFFB0000001884\r\n"
        "(0.0) vcan0 00000123#\n"
        "(12.123456789) slcan1 7ff##3aabb T\n"
        "(12.1)  can0  18FEF100#R8 R\n"
        "(13.000000) can0 20000004#0008000000000000\n"
    )

    frames = frames_of(open_log(path))

    assert frames == [
        Frame(0x260, bytes.fromhex("08FFFB0000001884"), 1_533_226_488_228_954_000, 0),
        Frame(EXTENDED | 0x123, b"", 0, 1),
        Frame(0x7FF, b"\xaa\xbb", 12_123_456_789, 2, FD | 2 | 4 | SENT_HERE),
        Frame(EXTENDED | REMOTE | 0x18FEF100, b"", 12_100_000_000, 0),
        Frame(ERROR | 4, bytes.fromhex("0008000000000000"), 13_000_000_000, 0),
    ]


def test_frames_of_other_channels_are_skipped_and_counted(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_text("(1.0) can0 123#00\n(1.1) can7 123#00\n(1.2) can7 123#R\n(1.3) can7 xyz#00\n")

    log = open_log(path, {"can0": 5})
    frames = frames_of(log)

    assert [frame.bus for frame in frames] == [5]
    assert log.channels.unlisted == {"can7": 2}
    assert log.report.malformed == 1


def test_a_log_without_the_wanted_channel_names_those_it_has(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_text("(1.0) can0 123#00\n")

    with pytest.raises(BadInput, match="no frame of can3; its channels are can0"):
        frames_of(open_log(path, {"can3": 0}))


def test_a_line_without_end_is_bounded(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_bytes(
        b"(1.0) can0 123#00\n" + b"x" * 3 * log_model.CHUNK_BYTES + b"\n(2.0) can0 123#00\n"
    )

    log = open_log(path)
    frames = frames_of(log)

    assert [frame.time_ns for frame in frames] == [1_000_000_000, 2_000_000_000]
    assert log.report.first_malformed == [(2, "a line of more than 4096 bytes")]


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress])
def test_a_packed_log_that_was_cut_off_gives_its_beginning(tmp_path: Path, pack):
    path = tmp_path / "drive.log.packed.log"
    lines = b"".join(b"(%d.000001) can0 123#%04X\n" % (n, n * 7919 % 65536) for n in range(20_000))
    path.write_bytes(pack(lines)[:-2000])

    log = open_log(path)
    frames = frames_of(log)

    assert 1_000 < len(frames) < 20_000
    assert "damaged from here on" in log.report.first_malformed[-1][1]


def test_many_channels_and_long_logs_come_in_blocks_of_bounded_size(tmp_path: Path):
    path = tmp_path / "drive.log"
    path.write_bytes(b"".join(b"(%d.5) can%d 123#00\n" % (n, n % 300) for n in range(20_000)))

    log = open_log(path)
    blocks = list(log)

    assert max(len(block) for block in blocks) <= REPLAY_BLOCK_MAX_FRAMES
    assert sum(map(len, blocks)) + log.channels.unlisted_frames == 20_000
    assert len(log.channels.names()) == 256


def test_relative_asc_stamps_add_up_over_every_line(tmp_path: Path):
    path = tmp_path / "drive.asc"
    path.write_text(
        "date Thu Aug 2 04:14:48.500 pm 2018\nbase dec  timestamps relative\nno internal events logged\n"
        "   0.100000 1  291  Rx   d 2 16 255\n   0.100000 1  Statistic: D 0 R 0\n"
        "   0.100000 2  100x  Tx   d 0\n"
    )

    frames = frames_of(open_log(path))

    start_ns = 1_533_226_488_500_000_000
    assert frames == [
        Frame(291, b"\x10\xff", start_ns + 100_000_000, 0),
        Frame(EXTENDED | 100, b"", start_ns + 300_000_000, 1, SENT_HERE),
    ]


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("1.1", "     1)      1059.9  Rx         0300  2  00 01"),
        ("1.2", "     1)      1059.9  1  Rx         0300  2  00 01"),
        ("1.3", "     1)      1059.900 1  Rx        0300 -  2    00 01"),
        ("2.0\n;$COLUMNS=N,O,T,I,d,l,D", "      1      1059.900 DT     0300 Rx 2  00 01"),
    ],
)
def test_trc_of_every_version(tmp_path: Path, version: str, line: str):
    path = tmp_path / "drive.trc"
    path.write_text(f";$FILEVERSION={version}\n;$STARTTIME=25570.5\n{line}\n")

    assert frames_of(open_log(path)) == [
        Frame(0x300, b"\x00\x01", (86_400 + 43_200) * 10**9 + 1_059_900_000)
    ]


@pytest.mark.parametrize(
    ("mf4", "text"),
    [
        ("j1939-truck-a.MF4", "j1939-truck-a.candump.log.xz"),
        ("nmea2000.MF4", "nmea2000.candump.log.xz"),
    ],
)
def test_mf4_gives_the_same_frames_as_its_text_twin(mf4: str, text: str):
    ours = frames_of(open_log(shared(f"can/logs/css-electronics/{mf4}")))
    twin = frames_of(open_log(shared(f"can/logs/css-electronics/{text}")))

    assert [(f.can_id, f.data) for f in ours] == [(f.can_id, f.data) for f in twin]
    # The text was written in microseconds; the MF4 has nanoseconds.
    elapsed = [(mine.time_ns - other.time_ns) for mine, other in zip(ours, twin, strict=True)]
    assert max(elapsed) - min(elapsed) < 1_000


def test_the_real_drive_is_read_as_python_can_reads_it(tmp_path: Path):
    packed = shared("edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz")
    path = tmp_path / "drive.log"
    path.write_bytes(
        b"".join(lzma.decompress(packed.read_bytes()).splitlines(keepends=True)[:5_000])
    )

    ours = frames_of(open_log(path))

    with can.CanutilsLogReader(path) as reader:
        theirs = [
            (m.arbitration_id, bytes(m.data), m.channel, round(m.timestamp * 1e6)) for m in reader
        ]
    assert [(f.can_id, f.data, f"can{f.bus}", f.time_ns // 1000) for f in ours] == theirs
