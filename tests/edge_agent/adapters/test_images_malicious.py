"""Images that are out to harm: each is refused with a sentence, and touches nothing of the vehicle."""

import io
import os
import tarfile
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.images_unpack import OPAQUE, unpack
from fairway.errors import BadInput, FairwayError, Tampered, Unavailable
from fairway.oci.model import Compression, digest_of
from fairway.oci.packed import Limits
from tests.edge_agent.adapters.image_rig import LIMITS, make_outside, unpacked, untouched
from tests.images import file, folder, hard_link, layer, member, packed, symlink
from tests.overlays import needs_mounts
from tests.small_disk import small_disk


@pytest.fixture(autouse=True)
def _root() -> None:
    needs_mounts()  # devices and attributes of overlayfs take the same right


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return make_outside(tmp_path / "outside")


def refused(tmp_path: Path, outside: Path, tar: bytes, match: str, limits: Limits = LIMITS) -> None:
    with pytest.raises(BadInput, match=match):
        unpacked(tmp_path / "to", tar, limits=limits)
    assert untouched(outside)


def test_a_name_that_leads_up_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("../outside/passwd", b"mine")), "leads up")


def test_a_name_that_leads_up_from_inside_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(folder("a"), file("a/../../outside/new")), "leads up")


def test_an_absolute_name_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file(f"{outside}/passwd", b"mine")), "begins with /")


def test_a_file_through_a_link_made_before_is_refused(tmp_path: Path, outside: Path):
    tar = layer(symlink("way", str(outside)), file("way/passwd", b"mine"))

    refused(tmp_path, outside, tar, "which is a link or a file")


def test_a_file_through_a_link_within_the_layer_is_refused(tmp_path: Path, outside: Path):
    refused(
        tmp_path,
        outside,
        layer(folder("a"), symlink("b", "a"), file("b/c")),
        "which is a link or a file",
    )


def test_a_folder_through_a_link_is_refused(tmp_path: Path, outside: Path):
    refused(
        tmp_path, outside, layer(symlink("way", str(outside)), folder("way/new/deep")), "is a link"
    )


def test_a_folder_in_place_of_a_link_leaves_what_the_link_leads_to(tmp_path: Path, outside: Path):
    unpacked(
        tmp_path / "to",
        layer(symlink("way", str(outside)), folder("way", mode=0o777), file("way/new")),
    )

    assert untouched(outside)
    assert (tmp_path / "to/way/new").is_file()


def test_a_file_in_place_of_a_link_is_not_written_through_it(tmp_path: Path, outside: Path):
    unpacked(tmp_path / "to", layer(symlink("way", f"{outside}/passwd"), file("way", b"mine")))

    assert untouched(outside)
    assert (tmp_path / "to/way").read_bytes() == b"mine"


def test_a_symbolic_link_out_of_the_image_is_refused(tmp_path: Path, outside: Path):
    refused(
        tmp_path,
        outside,
        layer(folder("a"), symlink("a/b", "../../outside")),
        "leads out of the image",
    )


def test_a_hard_link_to_a_file_of_the_vehicle_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(hard_link("mine", f"{outside}/passwd")), "begins with /")
    refused(tmp_path, outside, layer(hard_link("mine", "../outside/passwd")), "leads up")


def test_a_hard_link_through_a_symbolic_one_is_refused(tmp_path: Path, outside: Path):
    tar = layer(symlink("way", str(outside)), hard_link("mine", "way/passwd"))

    refused(tmp_path, outside, tar, "link")


def test_a_hard_link_to_a_symbolic_one_is_not_followed(tmp_path: Path, outside: Path):
    unpacked(
        tmp_path / "to",
        layer(symlink("way", f"{outside}/passwd"), hard_link("mine", "way"), file("mine", b"mine")),
    )

    assert untouched(outside)


def test_a_hard_link_to_a_folder_or_to_what_a_lower_layer_has_is_refused(
    tmp_path: Path, outside: Path
):
    refused(
        tmp_path,
        outside,
        layer(folder("a"), hard_link("b", "a")),
        "is a hard link to what is no file",
    )
    refused(tmp_path, outside, layer(hard_link("b", "etc/passwd")), "which this layer has not had")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_or_a_fifo_is_refused(tmp_path: Path, outside: Path, kind: bytes):
    refused(
        tmp_path,
        outside,
        layer(member("dev/sda", kind, devmajor=8)),
        "folders, files and links only",
    )


def test_a_kind_that_is_not_known_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(member("odd", b"D")), "not known here")


def test_a_sparse_file_is_refused(tmp_path: Path, outside: Path):
    tar = layer(
        file("a", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "9999999999"})
    )

    refused(tmp_path, outside, tar, "sparse")


def test_what_hides_a_name_outside_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("a/.wh...")), "which is no name")
    refused(tmp_path, outside, layer(file("a/.wh..")), "which is no name")
    refused(tmp_path, outside, layer(file("../.wh.outside")), "leads up")
    refused(
        tmp_path, outside, layer(symlink("way", str(outside)), file("way/.wh.passwd")), "is a link"
    )
    refused(
        tmp_path,
        outside,
        layer(symlink("way", str(outside)), file("way/.wh..wh..opq")),
        "is a link",
    )


def test_attributes_of_overlayfs_in_a_layer_are_not_taken_over(tmp_path: Path):
    redirect = {"SCHILY.xattr.trusted.overlay.redirect": "/outside", f"SCHILY.xattr.{OPAQUE}": "y"}
    unpacked(tmp_path / "to", layer(folder("a", pax_headers=redirect)))

    assert os.listxattr(tmp_path / "to/a") == []


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, how: str):
    tar = layer(file("zeros", bytes(16 << 20)))

    with pytest.raises(BadInput, match="times as large"):
        unpacked(
            tmp_path / "to",
            tar,
            how=how,
            limits=replace(LIMITS, ratio_from_bytes=1 << 20, ratio_max=50),
        )

    assert (tmp_path / "to/zeros").stat().st_size < 8 << 20


def test_a_layer_that_is_too_large_is_refused(tmp_path: Path, outside: Path):
    limits = replace(LIMITS, layer_max_bytes=1 << 20)

    refused(tmp_path, outside, layer(file("big", os.urandom(2 << 20))), "more than 1048576", limits)


def test_a_layer_of_too_many_entries_is_refused(tmp_path: Path, outside: Path):
    tar = layer(*(file(f"f{number}") for number in range(101)))

    refused(tmp_path, outside, tar, "more than 100 entries", replace(LIMITS, entries_max=100))


def test_names_that_are_too_long_or_too_deep_are_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("x" * 256)), "more than 255 bytes")
    refused(tmp_path, outside, layer(file("/".join("d" * 101))), "101 folders deep")
    refused(tmp_path, outside, layer(file("/".join(["d" * 250] * 20))), "a name in a layer has")
    refused(tmp_path, outside, layer(symlink("s", "t" * 5000)), "is a link to a name of 5000 bytes")


def test_a_name_of_megabytes_is_not_read_into_memory(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("n" * (2 << 20))), "bytes of names")


def test_a_size_that_is_more_than_there_is_is_refused(tmp_path: Path, outside: Path):
    tar = bytearray(layer(file("a", b"x" * 100)))
    tar[124:136] = b"77777777777\0"
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])

    refused(tmp_path, outside, bytes(tar), "in the middle of an entry")


def test_something_after_the_end_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("a")) + layer(file("hidden")), "after its end")


def test_a_root_that_would_be_something_else_is_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(symlink(".", str(outside))), "replace the root")
    refused(tmp_path, outside, layer(hard_link("./.", "a")), "replace the root")


def test_owners_that_mean_nobody_are_refused(tmp_path: Path, outside: Path):
    refused(tmp_path, outside, layer(file("a", uid=(1 << 32) - 1)), "who cannot be")


def test_another_layer_than_was_said_is_tampered_with(tmp_path: Path):
    (tmp_path / "to").mkdir()
    stream = io.BytesIO(layer(file("a", b"changed")))

    with pytest.raises(Tampered, match="once unpacked"):
        unpack(stream.read, Compression.NONE, digest_of(b"said"), tmp_path / "to", LIMITS)


def test_a_link_that_is_put_in_our_way_while_we_write_leads_nowhere(tmp_path: Path, outside: Path):
    """A process of the vehicle that races with us: its link is refused or loses, and is never followed."""
    to, is_done = tmp_path / "to", threading.Event()
    to.mkdir()

    def race() -> None:
        while not is_done.is_set():
            for swap in (
                lambda: (to / "way").rename(to / "aside"),
                lambda: (to / "way").symlink_to(outside),
            ):
                with suppress(OSError):
                    swap()
            with suppress(OSError):
                (to / "way").unlink()

    racing = threading.Thread(target=race)
    racing.start()
    try:
        for _ in range(20):
            tar = layer(
                *(file(name) for number in range(20) for name in (f"n{number}", f"way/{number}"))
            )
            with suppress(BadInput, Unavailable):
                unpacked(to, tar)
    finally:
        is_done.set()
        racing.join()

    assert untouched(outside)


def test_no_room_is_told(tmp_path: Path):
    with (
        small_disk(tmp_path / "disk", 4 << 20) as disk,
        pytest.raises(Unavailable, match="no room"),
    ):
        unpacked(disk.folder / "to", layer(file("big", os.urandom(8 << 20))))


# What chance comes up with.

NAMES = st.sampled_from(
    [
        "a",
        "b",
        "a/b",
        "a/b/c",
        "../outside/new",
        "/",
        ".",
        "",
        "a/..",
        ".wh.a",
        "a/.wh..wh..opq",
        "b/./c",
        ".wh..",
    ]
)
TARGETS = st.sampled_from(
    ["a", "b", "/", "..", "../outside", "../outside/passwd", "/etc", "a/b", "b/c", "./a", "a/../b"]
)
KINDS = st.sampled_from([b"0", b"1", b"2", b"5", b"5", b"0", b"3", b"6", b"7", b"x"])


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    kind = draw(KINDS)
    content = draw(st.binary(max_size=20)) if kind in (b"0", b"7") else b""
    mode = draw(st.integers(0, 0o7777))
    return member(draw(NAMES), kind, content=content, linkname=draw(TARGETS), mode=mode)


@settings(max_examples=300)
@given(st.lists(members(), max_size=12))
def test_no_sequence_of_members_reaches_outside(tmp_path_factory, sequence):
    base = tmp_path_factory.mktemp("fuzz")
    outside = make_outside(base / "outside")

    with suppress(FairwayError):
        unpacked(base / "to", layer(*sequence))

    assert untouched(outside)
    assert {path.name for path in base.iterdir()} == {"outside", "to"}


@settings(max_examples=200)
@given(st.data())
def test_bytes_that_were_changed_are_refused_with_a_sentence(tmp_path_factory, data: st.DataObject):
    tar = bytearray(
        layer(
            folder("a"),
            file("a/b", b"hello" * 40),
            symlink("c", "a/b"),
            hard_link("d", "a/b"),
            file("x" * 150),
        )
    )
    for _ in range(data.draw(st.integers(1, 8))):
        tar[data.draw(st.integers(0, 512 * 12))] = data.draw(st.integers(0, 255))
    how = data.draw(st.sampled_from(["", "gzip", "zstd"]))
    blob = bytearray(packed(bytes(tar), how))
    if how:
        for _ in range(data.draw(st.integers(0, 3))):
            blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    to = tmp_path_factory.mktemp("fuzz")

    with suppress(FairwayError):
        unpack(io.BytesIO(bytes(blob)).read, Compression(how), digest_of(bytes(tar)), to, LIMITS)
