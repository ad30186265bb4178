"""Archives as `docker save` writes them are written and read."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters.images import ImageStore
from fairway.errors import BadInput, Tampered
from fairway.oci.model import digest_of
from tests.edge_agent.adapters.image_store import AMD64, BASE, app, opened_store
from tests.images import HERE, Made, file, layer, layout, symlink
from tests.overlays import needs_mounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    with opened_store(tmp_path) as made:
        yield made


async def test_an_archive_for_engines_is_written_and_read_back(store: ImageStore, tmp_path: Path):
    image = Made([BASE, layer(file("app", b"x")), BASE], how="zstd")
    await store.take(layout(tmp_path / "layout", image))

    await store.docker_archive(image.digest, tmp_path / "docker.tar", name="localhost/app:1")

    with tarfile.open(tmp_path / "docker.tar") as archive:
        (said,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        plain = [archive.extractfile(name).read() for name in said["Layers"]]  # type: ignore[union-attr]
    assert plain == [BASE, layer(file("app", b"x")), BASE]
    assert said["RepoTags"] == ["localhost/app:1"]
    (digest,) = await store.take(tmp_path / "docker.tar")
    assert (await store.root(digest)).layers == (await store.root(image.digest)).layers
    assert await store.resolve("localhost/app:1") == digest


async def test_an_archive_whose_layers_are_links_to_each_other_is_read(
    store: ImageStore, tmp_path: Path
):
    config = json.dumps(
        {**HERE, "rootfs": {"type": "layers", "diff_ids": [digest_of(BASE)] * 2}}
    ).encode()
    listed = json.dumps(
        [{"Config": "c.json", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}]
    ).encode()
    (tmp_path / "old.tar").write_bytes(
        layer(
            file("manifest.json", listed),
            file("c.json", config),
            file("one/layer.tar", BASE),
            symlink("two/layer.tar", "../one/layer.tar"),
        )
    )

    (digest,) = await store.take(tmp_path / "old.tar")

    assert len((await store.root(digest)).layers) == 2


async def test_an_archive_that_names_what_it_has_not_is_refused(store: ImageStore, tmp_path: Path):
    listed = json.dumps([{"Config": "../../etc/passwd", "Layers": []}]).encode()
    (tmp_path / "bad.tar").write_bytes(layer(file("manifest.json", listed)))

    with pytest.raises(BadInput, match="etc/passwd"):
        await store.take(tmp_path / "bad.tar")


async def test_images_for_an_engine_are_verified_and_stay_packed(tmp_path: Path):
    image = Made([BASE, layer(file("etc/.wh.old"), file("su", mode=0o4755))], name="app")
    store = ImageStore(tmp_path / "store", here=AMD64, unpacks=False)
    try:
        await store.take(layout(tmp_path / "layout", image))

        root = await store.root(image.digest)
        await store.docker_archive(image.digest, tmp_path / "docker.tar")

        assert (root.layers, root.settings.argv) == ((), ("/bin/sh",))
        assert [path.name for path in (tmp_path / "store/layers").iterdir() if path.is_dir()] == []
        with tarfile.open(tmp_path / "docker.tar") as archive:
            (said,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
            plain = [archive.extractfile(name).read() for name in said["Layers"]]  # type: ignore[union-attr]
        assert plain == image.layers
        await store.collect(frozenset({image.digest}))
        assert await store.resolve("app") == image.digest
    finally:
        store.close()


async def test_an_image_for_an_engine_that_is_out_to_harm_is_refused_all_the_same(tmp_path: Path):
    store = ImageStore(tmp_path / "store", here=AMD64, unpacks=False)
    try:
        for bad in (layer(file("../bad")), layer(file("a")) + layer(file("hidden"))):
            with pytest.raises(BadInput):
                await store.take(layout(tmp_path / "layout", Made([bad])))
        other = app(b"x")
        other.manifest["layers"] = app(b"y").manifest["layers"]
        other.blobs |= app(b"y").blobs
        with pytest.raises(Tampered, match="once unpacked"):
            await store.take(layout(tmp_path / "layout", other))
    finally:
        store.close()


async def test_a_store_that_did_not_unpack_does_so_when_it_is_asked_to(tmp_path: Path):
    needs_mounts()
    image, stores = app(b"x"), []
    for unpacks in (False, True):
        stores.append(ImageStore(tmp_path / "store", here=AMD64, unpacks=unpacks))
        if not unpacks:
            await stores[0].take(layout(tmp_path / "layout", image))

    root = await stores[1].root(image.digest)

    assert (root.layers[1] / "app").read_bytes() == b"x"
    for store in stores:
        store.close()


@pytest.mark.parametrize(("shows", "folders"), [("nothing", 0), ("it", 2)])
async def test_a_store_that_unpacks_no_more_lets_go_of_what_nothing_shows(
    tmp_path: Path, shows: str, folders: int
):
    needs_mounts()
    image = app(b"x")
    before = ImageStore(tmp_path / "store", here=AMD64)
    await before.take(layout(tmp_path / "layout", image))
    before.close()
    shown = frozenset({image.digest} if shows == "it" else ())
    store = ImageStore(tmp_path / "store", here=AMD64, unpacks=False, in_use=lambda: shown)

    freed = await store.collect(frozenset({image.digest}))

    left = [path for path in (tmp_path / "store/layers").iterdir() if path.is_dir()]
    assert (len(left), freed > 0) == (folders, shows == "nothing")
    await store.docker_archive(image.digest, tmp_path / "docker.tar")
    store.close()
