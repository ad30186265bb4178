"""Images that are not what they say are refused, and leave nothing."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.images import ImageStore
from fairway.errors import BadInput, Tampered
from fairway.oci.packed import Limits
from tests.edge_agent.adapters.image_store import AMD64, BASE, app, kept, opened_store
from tests.images import Made, file, folder, layer, layout, symlink
from tests.overlays import needs_mounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    with opened_store(tmp_path) as made:
        yield made


async def refuses(
    store: ImageStore, tmp_path: Path, image: Made, match: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=match):
        await store.take(layout(tmp_path / "layout", image))
    assert [kept(tmp_path, kind) for kind in ("blobs", "layers", "images", "begun")] == [set()] * 4


async def test_a_layer_that_is_not_its_digest_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    layers = image.manifest["layers"]
    digest = layers[1]["digest"]  # type: ignore[index]
    image.blobs[digest] = bytes(len(image.blobs[digest]))

    await refuses(store, tmp_path, image, "what is called sha256", Tampered)


async def test_a_layer_of_another_size_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    image.manifest["layers"][1]["size"] += 1  # type: ignore[index]

    await refuses(store, tmp_path, image, "must have", Tampered)


async def test_a_layer_that_unpacks_to_another_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    other = app(b"y")
    image.manifest["layers"], image.blobs = other.manifest["layers"], image.blobs | other.blobs

    await refuses(store, tmp_path, image, "once unpacked", Tampered)


async def test_a_configuration_that_is_not_its_digest_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    digest = image.manifest["config"]["digest"]  # type: ignore[index]
    image.blobs[digest] = image.blobs[digest].replace(b"/bin/sh", b"/bin/rm")

    await refuses(store, tmp_path, image, "what is called", Tampered)


async def test_a_manifest_that_was_changed_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    path = layout(tmp_path / "layout", image)
    manifest = path / "blobs/sha256" / image.digest.removeprefix("sha256:")
    manifest.write_bytes(manifest.read_bytes().replace(b"gzip", b"zstd"))

    with pytest.raises(Tampered, match="what is called"):
        await store.take(path)


async def test_a_huge_manifest_is_not_read(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    image.manifest["annotations"] = {"a": "x" * (4 << 20)}

    await refuses(store, tmp_path, image, "a document has at most", BadInput)


async def test_more_or_fewer_layers_than_the_configuration_names_are_refused(
    store: ImageStore, tmp_path: Path
):
    image = app(b"x")
    image.manifest["layers"] = image.manifest["layers"][:1]  # type: ignore[index]

    await refuses(store, tmp_path, image, "1 layers, and its configuration names 2", BadInput)


async def test_a_kind_of_layer_that_is_not_known_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    image.manifest["layers"][0]["mediaType"] = "application/x-evil"  # type: ignore[index]

    await refuses(store, tmp_path, image, "application/x-evil", BadInput)


async def test_layers_that_are_too_large_together_are_refused(tmp_path: Path):
    needs_mounts()
    store = ImageStore(
        tmp_path / "store", here=AMD64, limits=replace(Limits(), image_max_bytes=40_000)
    )
    image = Made([layer(file(name, bytes(15_000))) for name in "abc"])
    try:
        await refuses(store, tmp_path, image, "more than 40000 bytes", BadInput)
    finally:
        store.close()


async def test_files_below_a_link_of_a_lower_layer_are_refused(store: ImageStore, tmp_path: Path):
    image = Made([layer(symlink("lib", "usr/lib")), layer(file("lib/hidden"))])

    await refuses(store, tmp_path, image, "below 'lib', a link in a lower one", BadInput)


async def test_a_folder_that_replaces_a_link_of_a_lower_layer_is_taken(
    store: ImageStore, tmp_path: Path
):
    image = Made([layer(symlink("lib", "usr/lib")), layer(folder("lib"), file("lib/own"))])

    assert await store.take(layout(tmp_path / "layout", image))


async def test_an_image_without_layers_is_refused(store: ImageStore, tmp_path: Path):
    await refuses(store, tmp_path, Made([]), "no layers", BadInput)


async def test_a_refused_image_leaves_those_that_are_here(store: ImageStore, tmp_path: Path):
    good, bad = app(b"good"), Made([BASE, layer(file("../bad"))])
    await store.take(layout(tmp_path / "good", good))

    with pytest.raises(BadInput, match="leads up"):
        await store.take(layout(tmp_path / "bad", bad))

    assert ((await store.root(good.digest)).layers[0] / "etc/name").is_file()


async def test_blobs_that_are_links_or_no_files_are_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x")
    path = layout(tmp_path / "layout", image)
    blob = path / "blobs/sha256" / image.manifest["layers"][1]["digest"].removeprefix("sha256:")  # type: ignore[index]
    (tmp_path / "elsewhere").write_bytes(blob.read_bytes())
    blob.unlink()
    blob.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="is a link"):
        await store.take(path)
    blob.unlink()
    os.mkfifo(blob)

    with pytest.raises(BadInput, match="no plain file"):
        await asyncio.wait_for(store.take(path), 30)


@pytest.mark.parametrize("content", [b"", b"no tar", b"\x1f\x8b rest", bytes(10_240)])
async def test_what_is_no_image_is_refused_with_a_sentence(
    store: ImageStore, tmp_path: Path, content: bytes
):
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(BadInput):
        await store.take(tmp_path / "file")
    with pytest.raises(BadInput):
        await store.take(tmp_path / "nothing")
