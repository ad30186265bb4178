"""A log as a bus: on time, at any speed, without drift, and resumable; no test here waits."""

from pathlib import Path

import pytest

from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.log_writers import open_writer
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.clock import NS_PER_MS, NS_PER_S, ManualClock
from fairway.errors import BadInput

START_NS = 1_533_226_488 * NS_PER_S


class SlowSleep:
    """Sleep that moves a manual clock, always a little too far, as a busy machine does."""

    def __init__(self, clock: ManualClock, late_ns: int = 0) -> None:
        self._clock = clock
        self._late_ns = late_ns
        self.naps = 0

    async def __call__(self, seconds: float) -> None:
        assert seconds >= 0
        self.naps += 1
        self._clock.advance(round(seconds * NS_PER_S) + self._late_ns)


def log_of(path: Path, stamps_ns: list[int]) -> Path:
    writer = open_writer(path)
    writer.write(block_of([Frame(n & 0x7FF, b"", START_NS + t) for n, t in enumerate(stamps_ns)]))
    writer.close()
    return path


async def played(replay: LogReplay, clock: ManualClock) -> list[tuple[int, int]]:
    """Return (stamp, time of play) of every frame, both since their start."""
    out = []
    while (block := await replay.receive()) is not None:
        assert len(block) <= LIVE_BLOCK_MAX_FRAMES
        out += [(t - START_NS, clock.monotonic_ns()) for t in block.time_ns.tolist()]
    return out


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
async def test_frames_come_at_their_time_and_lateness_does_not_add_up(tmp_path: Path, speed: float):
    path = log_of(tmp_path / "drive.log", [n * 10 * NS_PER_MS for n in range(12_000)])  # 120 s
    clock = ManualClock()
    late_ns = 300_000
    replay = LogReplay(path, speed=speed, clock=clock, sleep=SlowSleep(clock, late_ns))

    plays = await played(replay, clock)

    assert len(plays) == 12_000
    for stamp_ns, played_ns in plays:
        assert 0 <= played_ns - stamp_ns / speed <= late_ns + 1_000


async def test_a_busy_machine_gets_what_is_due_in_one_block(tmp_path: Path):
    path = log_of(tmp_path / "drive.log", [n * NS_PER_MS for n in range(1_000)])
    clock = ManualClock()
    sleep = SlowSleep(clock, late_ns=20 * NS_PER_MS)

    plays = await played(LogReplay(path, speed=1.0, clock=clock, sleep=sleep), clock)

    assert len(plays) == 1_000
    assert sleep.naps < 60


async def test_as_fast_as_possible_waits_for_nothing(tmp_path: Path):
    path = log_of(tmp_path / "drive.log", [n * NS_PER_S for n in range(10_000)])
    clock = ManualClock()
    replay = LogReplay(path, clock=clock, sleep=SlowSleep(clock))

    frames = 0
    while (block := await replay.receive()) is not None:
        frames += len(block)

    assert frames == replay.position == 10_000
    assert clock.monotonic_ns() == 0


async def test_a_clock_that_was_set_while_recording_does_not_stop_the_play(tmp_path: Path):
    year_ns = 365 * 86_400 * NS_PER_S
    stamps = [0, 10 * NS_PER_MS, year_ns, year_ns + 10 * NS_PER_MS, 0, 10 * NS_PER_MS]
    path = log_of(tmp_path / "drive.log", stamps)
    clock = ManualClock()

    plays = await played(LogReplay(path, speed=1.0, clock=clock, sleep=SlowSleep(clock)), clock)

    assert [stamp for stamp, _ in plays] == stamps
    assert [played_ns // NS_PER_MS for _, played_ns in plays] == [0, 10, 10, 20, 20, 30]


async def test_buses_that_interleave_a_little_wrongly_keep_the_schedule(tmp_path: Path):
    stamps = [0, 20 * NS_PER_MS, 15 * NS_PER_MS, 30 * NS_PER_MS]
    path = log_of(tmp_path / "drive.log", stamps)
    clock = ManualClock()

    plays = await played(LogReplay(path, speed=1.0, clock=clock, sleep=SlowSleep(clock)), clock)

    assert [stamp for stamp, _ in plays] == stamps
    assert [played_ns // NS_PER_MS for _, played_ns in plays] == [0, 20, 20, 30]


@pytest.mark.parametrize("start_at", [0, 1, 4_095, 4_096, 9_999, 10_000, 20_000])
async def test_a_replay_goes_on_where_it_was_left(tmp_path: Path, start_at: int):
    path = log_of(tmp_path / "drive.log", [n * NS_PER_MS for n in range(10_000)])
    replay = LogReplay(path, start_at=start_at)

    stamps: list[int] = []
    while (block := await replay.receive()) is not None:
        stamps += block.time_ns.tolist()
        assert replay.position == start_at + len(stamps)

    assert stamps == [START_NS + n * NS_PER_MS for n in range(start_at, 10_000)]


async def test_a_resumed_play_in_real_time_begins_at_once(tmp_path: Path):
    path = log_of(tmp_path / "drive.log", [n * NS_PER_S for n in range(100)])
    clock = ManualClock()

    plays = await played(
        LogReplay(path, speed=1.0, start_at=90, clock=clock, sleep=SlowSleep(clock)), clock
    )

    assert [played_ns // NS_PER_S for _, played_ns in plays] == list(range(10))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(tmp_path: Path, speed: float):
    path = log_of(tmp_path / "drive.log", [0])

    with pytest.raises(BadInput, match="replay speed"):
        LogReplay(path, speed=speed)


def test_a_log_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match=r"cannot read the log .*nothing\.log: No such file"):
        LogReplay(tmp_path / "nothing.log")
