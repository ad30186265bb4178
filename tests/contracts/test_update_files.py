"""The disk that there is, and the one in memory that forgets, do the same to who cuts no power."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.adapters.update_files import Files, RealFiles, got, put, put_link
from tests.dropping_files import DroppingFiles, Keeps


@pytest.fixture(params=["real", "dropping"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, Path]:
    if request.param == "real":
        return RealFiles(), tmp_path
    return DroppingFiles(Path("/disk")), Path("/disk")


def test_a_file_that_is_put_is_there_and_replaced_whole(disk: tuple[Files, Path]):
    files, root = disk
    put(files, root / "one", b"a long text")
    put(files, root / "one", b"short")

    assert got(files, root / "one") == b"short"
    assert files.names(root) == ["one"]
    assert files.size(root / "one") == 5


def test_what_is_written_in_parts_is_whole(disk: tuple[Files, Path]):
    files, root = disk
    files.write(root / "one", b"abc", 0)
    files.write(root / "one", b"de", 3)

    assert files.read(root / "one", 1, 3) == b"bcd"
    files.write(root / "one", b"x", 0)
    assert files.size(root / "one") == 1


def test_a_link_is_moved(disk: tuple[Files, Path]):
    files, root = disk
    put_link(files, "versions/a", root / "current")
    put_link(files, "versions/b", root / "current")

    assert files.linked(root / "current") == "versions/b"
    assert files.linked(root / "nothing") is None


def test_what_is_not_there_is_none_and_may_be_removed(disk: tuple[Files, Path]):
    files, root = disk

    assert got(files, root / "one") is None
    assert files.names(root / "folder") == []
    files.remove(root / "one")


def test_a_folder_goes_with_all_that_is_in_it(disk: tuple[Files, Path]):
    files, root = disk
    files.make_folder(root / "a" / "b")
    files.make_folder(root / "a" / "b")
    files.write(root / "a" / "b" / "c", b"x", 0)
    files.sync(root / "a" / "b" / "c")
    files.sync_folder(root / "a" / "b")
    files.remove(root / "a")

    assert files.names(root) == []


def test_a_folder_takes_the_place_of_nothing_only(disk: tuple[Files, Path]):
    files, root = disk
    for name in ("old", "new"):
        files.make_folder(root / name)
        files.write(root / name / "x", name.encode(), 0)

    with pytest.raises(OSError) as caught:
        files.rename(root / "new", root / "old")
    assert caught.value.errno == errno.ENOTEMPTY
    files.rename(root / "new", root / "other")
    assert files.read(root / "other" / "x", 0, 9) == b"new"


# what only the one in memory has: power cuts


def crashed(keeps: Keeps, act: Callable[[DroppingFiles, Path], None]) -> DroppingFiles:
    files = DroppingFiles(Path("/disk"))
    put(files, Path("/disk/one"), b"old")
    act(files, Path("/disk"))
    files.crash(keeps, seed=3)
    return files


def test_what_was_not_synced_is_gone():
    files = crashed(Keeps.NOTHING, lambda files, root: files.write(root / "one", b"new", 0))

    assert got(files, Path("/disk/one")) == b"old"


def test_a_name_that_was_not_synced_is_gone():
    def act(files: DroppingFiles, root: Path) -> None:
        files.write(root / "two", b"new", 0)
        files.sync(root / "two")

    assert crashed(Keeps.NOTHING, act).names(Path("/disk")) == ["one"]
    assert crashed(Keeps.ALL, act).names(Path("/disk")) == ["one", "two"]


def test_a_rename_without_a_sync_of_the_file_may_lose_its_content():
    def act(files: DroppingFiles, root: Path) -> None:
        files.write(root / "one.new", b"new", 0)
        files.rename(root / "one.new", root / "one")
        files.sync_folder(root)

    assert got(crashed(Keeps.NOTHING, act), Path("/disk/one")) == b""


def test_what_was_put_survives_whatever_a_disk_keeps():
    for keeps in Keeps:
        files = crashed(keeps, lambda files, root: put(files, root / "one", b"new"))
        assert got(files, Path("/disk/one")) == b"new"
