"""vehicle-sim record and replay: a bus becomes a log, a log a bus, and nothing is lost on the way."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.log_writers import open_writer
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import Frame, block_of
from simulators.bus import Bus
from simulators.cli import main
from simulators.cli.record import record
from simulators.unix_front import UnixFront
from tests.e2e.programs import Program, until
from tests.edge_agent.adapters.frames import frames_of
from tests.shared_data import shared

DRIVE = "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz"


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".trc", ".log.gz"])
def test_a_log_becomes_another_and_back(tmp_path: Path, suffix: str, capsys):
    lines = [
        f"({1_700_000_000 + n}.{n:06d}) can{n % 2} {n % 0x800:03X}#{n:04X}\n" for n in range(999)
    ]
    (tmp_path / "drive.log").write_text("".join(lines))

    there = main(
        ["record", "--source", f"replay:{tmp_path}/drive.log", "--out", f"{tmp_path}/other{suffix}"]
    )
    back = main(
        ["record", "--source", f"replay:{tmp_path}/other{suffix}", "--out", f"{tmp_path}/back.log"]
    )

    assert (there, back) == (0, 0)
    assert (tmp_path / "back.log").read_text() == "".join(lines)
    assert "999 frames in" in capsys.readouterr().err


def test_a_replay_is_recorded_frame_by_frame_by_another_process(tmp_path: Path):
    recorder = Program(
        *(
            "vehicle-sim",
            "record",
            "--source",
            f"unix:{tmp_path}/bus",
            "--out",
            tmp_path / "out.log",
        ),
        log=tmp_path / "recorder.txt",
    ).start()

    player = Program(
        *("vehicle-sim", "replay", "--log", shared(DRIVE), "--to", f"unix:{tmp_path}/bus"),
        *("--to", f"log:{tmp_path}/out.blf", "--speed", "max", "--wait-for", "1"),
        log=tmp_path / "player.txt",
    ).start()

    assert player.wait(60) == 0
    assert recorder.wait(60) == 0
    expected = frames_of(open_log(shared(DRIVE)))
    assert len(expected) == 98_800
    assert frames_of(open_log(tmp_path / "out.log")) == expected
    assert frames_of(open_log(tmp_path / "out.blf", {"can0": 0, "can1": 1})) == expected
    assert "98800 frames sent" in (tmp_path / "player.txt").read_text()


def test_a_recording_that_is_interrupted_keeps_what_it_received(tmp_path: Path):
    player = Program(
        *("vehicle-sim", "replay", "--log", shared(DRIVE), "--to", f"unix:{tmp_path}/bus"),
        *("--wait-for", "1"),
        log=tmp_path / "player.txt",
    ).start()
    recorder = Program(
        *(
            "vehicle-sim",
            "record",
            "--source",
            f"unix:{tmp_path}/bus",
            "--out",
            tmp_path / "out.log",
        ),
        log=tmp_path / "recorder.txt",
    ).start()
    try:
        # The text reaches the file in pieces of some kilobytes.
        until(
            "a first piece",
            lambda: (tmp_path / "out.log").exists() and size(tmp_path / "out.log") > 0,
        )

        assert recorder.stop() == 0
        assert player.stop() == 0
    finally:
        player.kill()
        recorder.kill()

    frames = frames_of(open_log(tmp_path / "out.log"))
    assert frames == frames_of(open_log(shared(DRIVE)))[: len(frames)]
    assert f"{len(frames)} frames in" in (tmp_path / "recorder.txt").read_text()


def size(path: Path) -> int:
    return path.stat().st_size


async def test_a_recording_ends_when_its_time_is_up(tmp_path: Path):
    bus = Bus()
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    writer = open_writer(tmp_path / "out.log")
    recording = asyncio.create_task(record(UnixBus(tmp_path / "bus"), writer, seconds=0.3))
    await front.wait_for(1)
    await bus.send(block_of([Frame(1, b"a", 5)]))

    await asyncio.wait_for(recording, 10)

    writer.close()
    assert frames_of(open_log(tmp_path / "out.log")) == [Frame(1, b"a", 5)]
    await front.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["record", "--source", "unix:{0}/no", "--out", "{0}/x.log", "--wait", "0"], "no bus at"),
        (["record", "--source", "unix:{0}/no", "--out", "{0}/x.pdf"], "name it .log"),
        (
            ["record", "--source", "unix:{0}/no", "--out", "{0}/x.log", "--seconds", "0"],
            "records nothing",
        ),
        (["record", "--source", "what", "--out", "{0}/x.log"], "is not a source"),
        (["replay", "--log", "{0}/no.log", "--to", "unix:{0}/bus"], "cannot read the log"),
        (["replay", "--log", "{0}/one.log", "--to", "nowhere:x"], "no way out of a bus"),
        (
            ["replay", "--log", "{0}/one.log", "--to", "unix:{0}/bus", "--speed", "fast"],
            "not a number",
        ),
        (
            ["replay", "--log", "{0}/one.log", "--to", "unix:{0}/b", "--channels", "a,a"],
            "each channel",
        ),
        (["replay", "--log", "{0}/one.log", "--to", "log:{0}/./one.log"], "is named twice"),
        (["record", "--source", "replay:{0}/one.log", "--out", "{0}/one.log"], "is named twice"),
        (
            ["record", "--source", "replay:{0}/one.log", "--out", "{0}/x.log", "--names", "a,a"],
            "each channel",
        ),
        (
            ["record", "--source", "replay:{0}/one.log", "--out", "{0}/x.log", "--seconds", "nan"],
            "records nothing",
        ),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(tmp_path: Path, capsys, arguments, said: str):
    (tmp_path / "one.log").write_text("(1.0) can0 123#00\n")

    code = main([text.format(tmp_path) for text in arguments])

    told = capsys.readouterr().err
    assert code == 1
    assert said in told
    assert told.count("\n") == 1
    assert (tmp_path / "one.log").read_text() == "(1.0) can0 123#00\n"
