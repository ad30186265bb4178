"""A layer becomes a folder, and nothing outside of it is ever touched."""

import os
import stat
import tarfile
from pathlib import Path

import pytest

from edge_agent.adapters.images_unpack import OPAQUE
from tests.edge_agent.adapters.image_rig import unpacked
from tests.images import file, folder, hard_link, layer, symlink
from tests.overlays import needs_mounts


@pytest.fixture(autouse=True)
def _root() -> None:
    needs_mounts()  # devices and attributes of overlayfs take the same right


@pytest.mark.parametrize("how", ["", "gzip", "zstd"])
def test_a_layer_is_there_with_its_owners_modes_times_and_links(tmp_path: Path, how: str):
    tar = layer(
        folder("app/", mode=0o1777, uid=3, gid=4, mtime=1_600_000_000),
        file("app/run", b"#!", mode=0o750, uid=1, gid=2, mtime=1_500_000_000),
        symlink("app/link", "/app/run"),
        hard_link("again", "app/run"),
        file("a" * 200 + "/" + "b" * 200, b"long"),
    )

    known = unpacked(tmp_path / "to", tar, how=how)

    run, app = (tmp_path / "to/app/run").stat(), (tmp_path / "to/app").stat()
    assert (run.st_uid, run.st_gid, run.st_mode & 0o7777, run.st_mtime) == (
        1,
        2,
        0o750,
        1_500_000_000,
    )
    assert (app.st_uid, app.st_gid, app.st_mode & 0o7777, app.st_mtime) == (
        3,
        4,
        0o1777,
        1_600_000_000,
    )
    assert (tmp_path / "to/app/link").readlink() == Path("/app/run")
    assert (tmp_path / "to/again").stat().st_ino == run.st_ino
    assert (tmp_path / "to" / ("a" * 200) / ("b" * 200)).read_bytes() == b"long"
    assert (known.entries, known.tar_bytes, known.implied) == (5, len(tar), ["a" * 200])


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar_is_read(tmp_path: Path, format_: int):
    name = "deep/" * 30 + "x" * (90 if format_ == tarfile.USTAR_FORMAT else 200)

    unpacked(tmp_path / "to", layer(file(name, b"found"), format_=format_))

    assert (tmp_path / "to" / name).read_bytes() == b"found"


def test_what_is_hidden_is_written_as_overlayfs_reads_it(tmp_path: Path):
    tar = layer(
        folder("etc"), file("etc/.wh.old"), file("usr/.wh..wh..opq"), file("usr/new", b"new")
    )

    known = unpacked(tmp_path / "to", tar)

    hidden = (tmp_path / "to/etc/old").lstat()
    assert stat.S_ISCHR(hidden.st_mode)
    assert hidden.st_rdev == 0
    assert os.getxattr(tmp_path / "to/usr", OPAQUE) == b"y"
    assert (known.hides, known.is_opaque) == (True, False)


@pytest.mark.parametrize("first", ["the folder", "what hides it"])
def test_a_folder_in_place_of_a_hidden_one_shows_nothing_of_the_lower_one(
    tmp_path: Path, first: str
):
    parts = [file(".wh.etc"), folder("etc"), file("etc/new")]
    tar = layer(*(parts if first == "what hides it" else [*parts[1:], parts[0]]))

    unpacked(tmp_path / "to", tar)

    assert os.getxattr(tmp_path / "to/etc", OPAQUE) == b"y"
    assert (tmp_path / "to/etc/new").is_file()


def test_a_file_in_place_of_a_hidden_one_is_the_file(tmp_path: Path):
    for number, tar in enumerate(
        (layer(file(".wh.a"), file("a", b"new")), layer(file("a", b"new"), file(".wh.a")))
    ):
        unpacked(tmp_path / str(number), tar)

        assert (tmp_path / str(number) / "a").read_bytes() == b"new"


def test_a_root_that_hides_all_below_it_is_told(tmp_path: Path):
    assert unpacked(tmp_path / "to", layer(file(".wh..wh..opq"))).is_opaque


def test_the_last_of_several_entries_of_one_name_counts_and_others_are_not_changed_by_it(
    tmp_path: Path,
):
    tar = layer(
        file("a", b"first"),
        hard_link("b", "a"),
        file("a", b"second"),
        folder("a"),
        file("a/inside"),
        file("a", b"third"),
    )

    unpacked(tmp_path / "to", tar)

    assert ((tmp_path / "to/a").read_bytes(), (tmp_path / "to/b").read_bytes()) == (
        b"third",
        b"first",
    )


def test_set_user_id_bits_and_capabilities_are_dropped_with_a_warning(tmp_path: Path):
    cap = file("ping", b"x", mode=0o755, pax_headers={"SCHILY.xattr.security.capability": "\x01"})
    known = unpacked(
        tmp_path / "to", layer(file("su", b"x", mode=0o6755), cap, folder("d", mode=0o2755))
    )

    assert [(tmp_path / "to" / name).stat().st_mode & 0o7777 for name in ("su", "ping", "d")] == [
        0o755
    ] * 3
    assert known.warnings == [
        "'su' lost its set-user-id bit and its set-group-id bit",
        "'ping' lost its capabilities",
    ]
    assert os.listxattr(tmp_path / "to/ping") == []
