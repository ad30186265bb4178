"""Tar is read as others write it, and others read what we write."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.oci import tar
from fairway.oci.tar import Entry, Kind, Reader
from tests.images import file, layer, symlink

names = st.binary(min_size=1, max_size=300).filter(
    lambda one: b"\0" not in one and not one.endswith(b"/")
)
entries = st.builds(
    Entry,
    name=names,
    kind=st.sampled_from([Kind.FILE, Kind.SYMLINK, Kind.FOLDER, Kind.HARD_LINK]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, (1 << 32) - 2),
    gid=st.integers(0, (1 << 32) - 2),
    mtime_s=st.integers(0, tar.TIME_MAX_S),
    target=st.just(b"") | names,
)


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = Reader(io.BytesIO(data).read)
    return [(entry, b"".join(iter(lambda: reader.content(7), b""))) for entry in reader]


def written(*members: tuple[Entry, bytes]) -> bytes:
    return b"".join(tar.header(entry) + tar.padded(content) for entry, content in members) + tar.END


@given(st.lists(entries, max_size=4))
def test_entries_survive_the_wire(listed: list[Entry]):
    assert [entry for entry, _ in read(written(*((one, b"") for one in listed)))] == listed


@given(
    entries.filter(lambda one: one.kind is Kind.FILE and not one.name.startswith(b"/")),
    st.binary(max_size=2000),
)
def test_pythons_tarfile_reads_what_we_write(entry: Entry, content: bytes):
    entry = Entry(
        entry.name, Kind.FILE, len(content), entry.mode, entry.uid, entry.gid, entry.mtime_s
    )

    with tarfile.open(
        fileobj=io.BytesIO(written((entry, content))), errors="surrogateescape"
    ) as archive:
        (found,) = archive.getmembers()
        assert found.name.encode(errors="surrogateescape") == entry.name
        assert (found.mode, found.uid, found.gid, found.mtime) == (
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime_s,
        )
        assert archive.extractfile(found).read() == content  # type: ignore[union-attr]


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_pythons_tarfile_writes_is_read(format_: int):
    size = 130 if format_ == tarfile.USTAR_FORMAT else 400
    long = "d/" * 40 + "n" * (size - 80)
    data = layer(
        file(long, b"x" * 513), symlink("s", "t" * 90), file("next", b"y"), format_=format_
    )

    assert [(one.name, content) for one, content in read(data)] == [
        (long.encode(), b"x" * 513), (b"s", b""), (b"next", b"y"),
    ]  # fmt: skip


def test_numbers_that_octal_digits_cannot_say_are_read():
    (found, _), *_ = read(layer(file("a", uid=1 << 30), format_=tarfile.GNU_FORMAT))

    assert found.uid == 1 << 30


def test_what_is_not_read_of_a_content_is_passed_over():
    data = layer(file("a", b"x" * 5000), file("b", b"y"))

    assert [entry.name for entry in Reader(io.BytesIO(data).read)] == [b"a", b"b"]


def test_a_global_header_that_only_comments_is_passed_over():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"comment": "of git"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))

    assert [entry.name for entry, _ in read(buffer.getvalue())] == [b"a"]


def test_a_global_header_that_changes_entries_is_refused():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"path": "other"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))

    with pytest.raises(BadInput, match="global header"):
        read(buffer.getvalue())


def test_a_header_whose_sum_does_not_hold_is_refused():
    data = bytearray(layer(file("a")))
    data[0] ^= 1

    with pytest.raises(BadInput, match="checksum"):
        read(bytes(data))


@pytest.mark.parametrize("cut", [1, 511, 513, 700])
def test_a_tar_that_ends_in_the_middle_is_refused(cut: int):
    with pytest.raises(BadInput, match="in the middle"):
        read(layer(file("a", b"x" * 600))[:cut])


@given(st.binary(max_size=2000), st.integers(0, 511), st.integers(0, 255))
def test_garbage_is_read_or_refused_with_a_sentence(garbage: bytes, at: int, value: int):
    good = bytearray(layer(file("a" * 120, b"x"), symlink("s", "t")))
    good[at] = value
    for data in (garbage, bytes(good) + garbage):
        try:
            read(data)
        except BadInput as error:
            assert str(error)  # noqa: PT017
