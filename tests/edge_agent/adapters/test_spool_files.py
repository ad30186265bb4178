"""A spool on a disk that is pulled out, scratched, filled and shared."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.disk import RealDisk
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.errors import BadInput, Conflict, Unavailable

ALL = {"max_batches": 10_000, "max_bytes": 1 << 30}


def batch(sequence: int, size: int = 40) -> SpooledBatch:
    request = bytes([sequence % 251]) * size
    return SpooledBatch(
        sequence, b"12345678", 5, sequence, Cursor(b"logabcde", 5 * sequence), request
    )


def opened(path: Path, **settings: object) -> SpoolFiles:
    return SpoolFiles(path, **{"max_bytes": 1 << 24} | settings)  # type: ignore[arg-type]


def fill(spool: SpoolFiles, count: int, size: int = 40) -> None:
    first = spool.state.next_sequence
    for number in range(first, first + count):
        assert spool.append([batch(number, size)])


def numbers(spool: SpoolFiles) -> list[int]:
    return [found.sequence for found in spool.read(0, **ALL)]


class FlakyDisk(RealDisk):
    """A disk with room for so many bytes; `sync_works` False: one that fails to sync."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sync_works = True

    def write(self, file: int, data: bytes, offset: int) -> None:
        size = os.fstat(file).st_size
        taken = data[: max(0, size - offset) + self.room]
        super().write(file, taken, offset)
        self.room -= max(0, os.fstat(file).st_size - size)  # writing over old bytes takes none
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self, file: int) -> None:
        if not self.sync_works:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(file)


def test_a_restart_keeps_stream_batches_numbers_and_cursor(tmp_path: Path):
    spool = opened(tmp_path)
    fill(spool, 5)
    spool.settle([1, 2, 4])
    stream = spool.stream
    spool.close()

    again = opened(tmp_path)

    assert (again.stream, again.state.next_sequence) == (stream, 6)
    assert again.cursor == Cursor(b"logabcde", 25)
    # 4 was settled out of order: it may be sent again, the cloud knows it.
    assert [found for found in again.read(0, **ALL) if found.sequence != 4] == [batch(3), batch(5)]
    again.close()


def test_many_segments_come_back_in_order_and_go_when_settled(tmp_path: Path):
    spool = opened(tmp_path, max_bytes=1 << 20)
    fill(spool, 300, size=2000)
    assert len(list(tmp_path.glob("*.seg"))) > 5
    spool.close()
    spool = opened(tmp_path, max_bytes=1 << 20)

    assert numbers(spool) == list(range(1, 301))
    spool.settle(range(1, 300))
    assert len(list(tmp_path.glob("*.seg"))) == 1
    spool.close()

    spool = opened(tmp_path, max_bytes=1 << 20)
    assert (numbers(spool), spool.state.next_sequence) == ([300], 301)
    spool.close()


def test_an_emptied_spool_still_counts_on_and_knows_its_cursor(tmp_path: Path):
    spool = opened(tmp_path, max_bytes=1 << 20)
    fill(spool, 200, size=2000)
    spool.settle(range(1, 201))
    fill(spool, 1)
    spool.settle([201])
    spool.close()
    (tmp_path / "marks").unlink()

    again = opened(tmp_path, max_bytes=1 << 20)

    assert again.state.next_sequence == 202
    assert again.cursor == Cursor(b"logabcde", 5 * 201)
    again.close()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.data())
def test_a_spool_cut_at_any_byte_keeps_every_whole_batch(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
):
    path = tmp_path_factory.mktemp("spool")
    spool = opened(path)
    written = []
    for sequence, size in enumerate(sizes, start=1):
        spool.append([batch(sequence, size)])
        written.append((spool.state.size_bytes, sequence))
    spool.close()
    segment = next(path.glob("*.seg"))
    cut = data.draw(st.integers(48, segment.stat().st_size))
    os.truncate(segment, cut)
    # What a power cut takes with it was never synced, so nothing could know of it.
    (path / "marks").unlink()

    again = opened(path)

    whole = [sequence for end, sequence in written if end <= cut]
    assert numbers(again) == whole
    assert again.state.next_sequence == len(whole) + 1
    fill(again, 1)
    assert numbers(again) == [*whole, len(whole) + 1]
    again.close()


def test_a_number_that_may_have_been_sent_is_never_used_again(tmp_path: Path):
    spool = opened(tmp_path)
    fill(spool, 9)
    spool.close()
    segment = next(tmp_path.glob("*.seg"))
    os.truncate(segment, segment.stat().st_size // 2)  # synced bytes gone: a dying disk

    again = opened(tmp_path)
    left = numbers(again)
    fill(again, 1)

    assert left == [1, 2, 3, 4]
    assert numbers(again) == [1, 2, 3, 4, 10]
    assert again.state.damaged_batches == 5
    again.close()


def test_a_damaged_batch_is_given_up_and_counted_and_the_rest_goes_on(tmp_path: Path):
    spool = opened(tmp_path)
    fill(spool, 5)
    spool.close()
    segment = next(tmp_path.glob("*.seg"))
    content = bytearray(segment.read_bytes())
    content[content.index(bytes([3]) * 40)] ^= 0xFF
    segment.write_bytes(content)

    again = opened(tmp_path)

    assert numbers(again) == [1, 2, 4, 5]
    assert (again.state.damaged_batches, again.state.waiting) == (1, 4)
    again.settle([1, 2, 4, 5])
    assert again.state.waiting == 0
    again.close()


def test_damage_that_appears_while_it_runs_is_given_up_too(tmp_path: Path):
    spool = opened(tmp_path)
    fill(spool, 3)
    segment = next(tmp_path.glob("*.seg"))
    content = bytearray(segment.read_bytes())
    content[content.index(bytes([2]) * 40)] ^= 0xFF
    segment.write_bytes(content)

    assert numbers(spool) == [1, 3]
    assert spool.state.damaged_batches == 1
    spool.close()


def test_a_segment_with_a_damaged_head_is_set_aside(tmp_path: Path):
    spool = opened(tmp_path)
    fill(spool, 3)
    spool.close()
    segment = next(tmp_path.glob("*.seg"))
    segment.write_bytes(b"x" * 10)

    again = opened(tmp_path)

    assert (numbers(again), again.state.next_sequence) == ([], 4)
    assert [path.suffix for path in tmp_path.glob("*.damaged")] == [".damaged"]
    again.close()


def test_a_second_agent_is_told_that_the_spool_is_taken(tmp_path: Path):
    spool = opened(tmp_path)

    with pytest.raises(Conflict, match="another agent uses the spool"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


def test_segments_without_their_stream_are_refused(tmp_path: Path):
    opened(tmp_path).close()
    (tmp_path / "stream").unlink()

    with pytest.raises(BadInput, match="no file named stream"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0123456789abcde\xc3"])
def test_a_stream_that_is_damaged_is_one_sentence_with_its_place(tmp_path: Path, content: bytes):
    opened(tmp_path).close()
    (tmp_path / "stream").write_bytes(content)

    with pytest.raises(BadInput, match=r"stream: .* is not a stream id.*restore it, or begin"):
        opened(tmp_path)


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="Not a directory"):
        opened(tmp_path / "file" / "spool")


def test_a_full_disk_takes_nothing_loses_nothing_and_goes_on_with_room(tmp_path: Path):
    disk = FlakyDisk(room=1_000)
    spool = opened(tmp_path, disk=disk)
    with pytest.raises(Unavailable, match="No space left"):
        fill(spool, 100)
    taken = spool.state.next_sequence - 1
    assert taken > 3
    assert numbers(spool) == list(range(1, taken + 1))

    disk.room = 10_000
    fill(spool, 2)
    spool.close()

    again = opened(tmp_path)
    assert numbers(again) == list(range(1, taken + 3))
    again.close()


def test_receipts_free_a_full_disk_although_a_new_segment_needs_room(tmp_path: Path):
    disk = FlakyDisk(room=1 << 20)
    spool = opened(tmp_path, max_bytes=1 << 20, disk=disk)
    fill(spool, 40, size=2000)
    disk.room = 0
    spool.settle(range(1, 41))

    with pytest.raises(Unavailable):
        spool.append([batch(41, size=2000)])
    assert spool.state.size_bytes < 100
    disk.room = 1 << 20
    assert spool.append([batch(41, size=2000)])
    assert numbers(spool) == [41]
    spool.close()


def test_a_disk_that_fails_to_sync_takes_nothing(tmp_path: Path):
    disk = FlakyDisk(room=1 << 20)
    spool = opened(tmp_path, disk=disk)
    fill(spool, 2)
    disk.sync_works = False

    with pytest.raises(Unavailable, match="Input/output error"):
        spool.append([batch(3)])
    assert numbers(spool) == [1, 2]

    disk.sync_works = True
    fill(spool, 1)
    spool.close()
    again = opened(tmp_path)
    assert numbers(again) == [1, 2, 3]
    again.close()


CHILD = """
import resource, sys
from pathlib import Path
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.telemetry.spool import Cursor, SpooledBatch
from fairway.errors import Unavailable

spool = SpoolFiles(Path(sys.argv[1]), max_bytes=1 << 30)
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
for number in range(spool.state.next_sequence, 100_000):
    try:
        spool.append([SpooledBatch(number, b"12345678", 5, 0, Cursor(), bytes([number % 251]) * 500)])
    except Unavailable as error:
        print("refused", error, flush=True)
        break
    print(number, flush=True)
"""


def test_a_real_limit_of_the_system_costs_nothing_that_was_taken(tmp_path: Path):
    child = [sys.executable, "-c", CHILD, str(tmp_path), "limit", "100000"]
    out = subprocess.run(child, check=True, capture_output=True, text=True, timeout=60)
    *taken, refusal = out.stdout.splitlines()

    again = opened(tmp_path, max_bytes=1 << 30)

    assert "File too large" in refusal
    assert numbers(again) == [int(number) for number in taken]
    assert len(taken) > 100
    again.close()


def test_what_append_returned_for_survives_kill_9(tmp_path: Path):
    taken = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), "free"], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            taken = int(line)
            if taken % 40 == 39:
                break
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines()
        taken = int(rest[-1]) if rest else taken
        child.stdout.close()
        child.wait()

        spool = opened(tmp_path, max_bytes=1 << 30)
        found = numbers(spool)
        # One more may be whole although its append was not told of.
        assert found in (list(range(1, taken + 1)), list(range(1, taken + 2)))
        assert all(
            entry.request[:1] == bytes([entry.sequence % 251]) for entry in spool.read(0, **ALL)
        )
        spool.close()
