"""A file that is being fetched, on a disk that fails at any moment, or keeps less than it was given."""

import errno
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.disk import RealDisk
from edge_agent.adapters.update_parts import SYNC_BYTES, BadChunk, Part, is_blob, part_of
from edge_agent.updates.fetching import Attacked, NoRoom, chunk_hashes
from fairway.errors import FairwayError, Unavailable
from ota.manifest import Blob
from tests.update_place import sha256

CHUNK = 4096
DATA = random.Random(3).randbytes(5 * CHUNK + 100)
HASHES = chunk_hashes(
    b"".join(bytes.fromhex(sha256(DATA[at : at + CHUNK])) for at in range(0, len(DATA), CHUNK))
)
BLOB = Blob(sha256(DATA), len(DATA), CHUNK, "x")
WHOLE = Blob(sha256(DATA), len(DATA))


class Disk(RealDisk):
    """A disk that fails at one of its acts, and notes what is durable."""

    def __init__(self, fails_at: int = -1, error: int = errno.ENOSPC) -> None:
        self.acts, self.fails_at, self.error = 0, fails_at, error
        self.written = self.durable = 0

    def _act(self) -> None:
        self.acts += 1
        if self.acts - 1 == self.fails_at:
            raise OSError(self.error, os.strerror(self.error))

    def write(self, file: int, data: bytes, offset: int) -> None:
        self._act()
        super().write(file, data, offset)
        self.written = offset + len(data)

    def sync(self, file: int) -> None:
        self._act()
        super().sync(file)
        self.durable = self.written


def fill(part: Part, step: int = 1000) -> None:
    """Have the rest come, as it would from the line."""
    try:
        while part.left:
            part.write(DATA[part.have : part.have + step])
        part.finish()
    finally:
        part.pause()


def acts_of_a_whole_fetch(folder: Path, blob: Blob, hashes: tuple[bytes, ...]) -> int:
    disk = Disk()
    fill(Part(blob, folder / "counted", hashes, lambda _: None, disk))
    return disk.acts


@pytest.mark.parametrize(("blob", "hashes"), [(BLOB, HASHES), (WHOLE, ())])
def test_a_disk_that_is_full_at_any_write_or_sync_is_left_empty(
    tmp_path: Path, blob: Blob, hashes: tuple[bytes, ...]
):
    acts = acts_of_a_whole_fetch(tmp_path, blob, hashes)
    assert acts > 20
    for number in range(acts):
        folder = tmp_path / str(number)
        part = Part(blob, folder / "image", hashes, lambda _: None, Disk(number))
        with pytest.raises(NoRoom):
            fill(part)
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
def test_a_disk_that_breaks_at_any_moment_can_be_gone_on_with(tmp_path: Path, error: int):
    for number in range(acts_of_a_whole_fetch(tmp_path, BLOB, HASHES)):
        folder = tmp_path / str(number)
        with pytest.raises(Unavailable) as caught:
            fill(Part(BLOB, folder / "image", HASHES, lambda _: None, Disk(number, error)))
        assert not isinstance(caught.value, NoRoom)
        assert not (folder / "image").exists()

        fill(Part(BLOB, folder / "image", HASHES, lambda _: None))
        assert (folder / "image").read_bytes() == DATA


def test_nothing_counts_before_it_is_durable(tmp_path: Path):
    disk, told = Disk(), []

    def tell(size: int) -> None:
        assert disk.durable >= size
        told.append(size)

    fill(Part(BLOB, tmp_path / "image", HASHES, tell, disk))

    assert told == [*range(CHUNK, len(DATA), CHUNK), len(DATA), len(DATA)]


def test_without_chunks_a_power_cut_costs_some_megabytes_at_most(tmp_path: Path):
    data, disk, told = bytes(3 * SYNC_BYTES), Disk(), list[int]()
    part = Part(Blob(sha256(data), len(data)), tmp_path / "image", (), told.append, disk)
    part.write(data)

    assert told == [SYNC_BYTES, 2 * SYNC_BYTES, 3 * SYNC_BYTES]
    part.close()


@given(kept=st.integers(0, len(DATA) + 50), holes=st.lists(st.integers(0, len(DATA)), max_size=3))
def test_whatever_a_power_cut_leaves_the_end_is_right(
    tmp_path_factory: pytest.TempPathFactory, kept: int, holes: list[int]
):
    """The file may be shorter or longer, and have blocks that never reached the disk."""
    folder = tmp_path_factory.mktemp("cut")
    left = bytearray((DATA + bytes(50))[:kept])
    for at in holes:
        left[at : at + 512] = bytes(len(left[at : at + 512]))
    part_of(folder / "image").write_bytes(left)

    part = Part(BLOB, folder / "image", HASHES, lambda _: None)
    assert DATA[: part.have // CHUNK * CHUNK] == bytes(left[: part.have // CHUNK * CHUNK])
    for _ in range(2):  # what follows the last whole chunk may be wrong: it costs its chunk
        try:
            fill(part)
            break
        except BadChunk:
            part = Part(BLOB, folder / "image", HASHES, lambda _: None)

    assert (folder / "image").read_bytes() == DATA
    assert is_blob(folder / "image", BLOB)
    assert [path.name for path in folder.iterdir()] == ["image"]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed_on_the_way(
    tmp_path_factory: pytest.TempPathFactory, at: int, by: int
):
    folder = tmp_path_factory.mktemp("changed")
    wrong = bytearray(DATA)
    wrong[at] ^= by

    for blob, hashes, error in ((BLOB, HASHES, BadChunk), (WHOLE, (), Attacked)):
        part = Part(blob, folder / "image", hashes, lambda _: None)
        with pytest.raises((FairwayError, BadChunk)) as caught:
            write_all(part, bytes(wrong))
        assert caught.type is error
        part.abandon()
        assert not (folder / "image").exists()


def write_all(part: Part, data: bytes) -> None:
    part.write(data)
    part.finish()


def test_more_than_was_signed_is_not_written(tmp_path: Path):
    part = Part(WHOLE, tmp_path / "image", (), lambda _: None)
    with pytest.raises(Attacked, match="more than the"):
        part.write(DATA + b"x")

    assert part.have == 0
    part.abandon()
    assert list(tmp_path.iterdir()) == []
