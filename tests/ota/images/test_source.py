"""Layouts and archives are read as they come, and nothing is believed."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput, FairwayError, Tampered
from fairway.oci.model import DOCKER_CONFIG, MANIFEST, Descriptor, digest_of
from ota.images import source as sources
from tests.images import (
    HERE,
    Made,
    as_tar,
    described,
    file,
    folder,
    hard_link,
    layer,
    layout,
    member,
    symlink,
)

IMAGE = Made([layer(file("a", b"x"))], name="one")


def opened(tmp_path: Path, tar: bytes) -> sources.Source:
    (tmp_path / "archive.tar").write_bytes(tar)
    return sources.opened(tmp_path / "archive.tar")


def read(source: sources.Source, digest: str) -> bytes:
    with source.blob(digest) as part:
        return b"".join(iter(lambda: part.read(7), b""))


def docker(
    tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes], layers: list[str]
) -> sources.Source:
    config = json.dumps({**HERE, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    listed = json.dumps(
        [{"Config": "c.json", "RepoTags": ["t:1", "t:2"], "Layers": layers}]
    ).encode()
    return opened(tmp_path, layer(file("manifest.json", listed), file("c.json", config), *members))


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_blobs_of_a_layout_are_found_by_their_digests(tmp_path: Path, form: str):
    path = layout(tmp_path / "layout", IMAGE)
    source = sources.opened(path if form == "folder" else as_tar(path, tmp_path / "layout.tar"))

    assert [(entry.digest, entry.name) for entry in source.entries] == [(IMAGE.digest, "one")]
    for digest, data in IMAGE.blobs.items():
        assert source.holds(digest)
        assert read(source, digest) == data
    with pytest.raises(BadInput, match="has no blob"):
        read(source, "sha256:" + "0" * 64)
    assert not source.holds("sha256:" + "0" * 64)


def test_a_part_of_a_blob_is_read_from_where_it_is_asked_for(tmp_path: Path):
    path = layout(tmp_path / "layout", IMAGE)
    for source in (sources.opened(path), sources.opened(as_tar(path, tmp_path / "layout.tar"))):
        for digest, data in IMAGE.blobs.items():
            with source.blob(digest) as part:
                part.seek(5)
                assert part.read(10_000) == data[5:]
                part.seek(10_000)
                assert part.read(1) == b""


def test_the_name_that_docker_gives_is_the_whole_one(tmp_path: Path):
    path = layout(tmp_path / "layout", IMAGE)
    index = json.loads((path / "index.json").read_text())
    index["manifests"][0]["annotations"] |= {"io.containerd.image.name": "docker.io/library/one:1"}
    (path / "index.json").write_text(json.dumps(index))

    assert sources.opened(path).entries[0].name == "docker.io/library/one:1"


def test_a_document_that_is_another_is_told(tmp_path: Path):
    source = sources.opened(layout(tmp_path / "layout", IMAGE))
    (entry,) = source.entries

    with pytest.raises(Tampered, match="must have"):
        sources.document(source, Descriptor(MANIFEST, entry.digest, entry.size_bytes - 1))


def test_an_archive_of_docker_is_an_image_under_each_of_its_names(tmp_path: Path):
    tar = layer(file("a", b"x"))
    source = docker(tmp_path, folder("one"), file("one/layer.tar", tar), layers=["one/layer.tar"])

    first, second = source.entries
    manifest = json.loads(read(source, first.digest))
    assert (first.name, second.name, first.digest) == ("t:1", "t:2", second.digest)
    assert manifest["config"]["mediaType"] == DOCKER_CONFIG
    assert read(source, manifest["layers"][0]["digest"]) == tar
    assert digest_of(read(source, first.digest)) == first.digest


@pytest.mark.parametrize(
    "members",
    [
        [symlink("l.tar", "l.tar")],
        [symlink("l.tar", "m.tar"), symlink("m.tar", "l.tar")],
        [symlink("l.tar", "/etc/passwd")],
        [symlink("l.tar", "../../../../etc/passwd")],
        [folder("l.tar")],
        [],
    ],
)
def test_a_layer_of_an_archive_that_is_nowhere_in_it_is_refused(tmp_path: Path, members):
    with pytest.raises(BadInput, match="has no 'l.tar'"):
        docker(tmp_path, *members, layers=["l.tar"])


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([file("../index.json")], "leads up"),
        ([file("/index.json")], "begins with /"),
        ([file("a"), file("./a")], "twice"),
        ([file("a"), hard_link("b", "a")], "neither file nor folder nor link"),
        ([member("null", tarfile.CHRTYPE)], "neither file nor folder nor link"),
        ([file("index.json", b"{}")], "is no image"),
        (
            [file("index.json", b"{}"), file("oci-layout", b'{"imageLayoutVersion": "2"}')],
            "version '2'",
        ),
        ([file("manifest.json", b"{}")], "no list"),
        ([file("manifest.json", b'[{"Config": 3}]')], "no text"),
        ([], "is no image"),
    ],
)
def test_a_tar_that_is_no_image_is_refused(tmp_path: Path, members, match: str):
    with pytest.raises(BadInput, match=match):
        opened(tmp_path, layer(*members))


def test_a_tar_that_is_packed_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(BadInput, match="unpack it with gunzip first"):
        opened(tmp_path, b"\x1f\x8b" + bytes(600))


def test_a_tar_whose_end_is_missing_is_refused(tmp_path: Path):
    tar = as_tar(layout(tmp_path / "layout", IMAGE), tmp_path / "whole.tar").read_bytes()

    with pytest.raises(BadInput, match="ends"):
        opened(tmp_path, tar[: tar.index(b"imageLayoutVersion") + 3])


def test_more_entries_than_an_archive_has_are_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="more than 10000 entries"):
        opened(tmp_path, layer(*(folder(f"d{at}") for at in range(10_001))))


def test_a_document_that_is_said_to_be_huge_is_not_read(tmp_path: Path):
    path = layout(tmp_path / "layout", IMAGE)
    entry = described(b"x", MANIFEST) | {"size": 1 << 40}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    source = sources.opened(path)

    with pytest.raises(BadInput, match="a document has at most"):
        sources.document(source, source.entries[0])


@given(st.data())
def test_an_archive_that_was_changed_is_read_or_refused_with_a_sentence(
    tmp_path_factory, data: st.DataObject
):
    base = tmp_path_factory.mktemp("fuzz")
    buffer = io.BytesIO(as_tar(layout(base / "layout", IMAGE), base / "a.tar").read_bytes())
    changed = buffer.getbuffer()
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        source = opened(base, bytes(changed))
        for entry in source.entries:
            sources.document(source, entry)
    except FairwayError as error:
        assert str(error)  # noqa: PT017
