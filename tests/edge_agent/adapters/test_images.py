"""Images are taken in, named, shared, and shown as their layers say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters import overlay
from edge_agent.adapters.images import ImageStore
from fairway.errors import BadInput
from fairway.oci.model import digest_of
from tests.edge_agent.adapters.image_store import BASE, app, kept, opened_store
from tests.images import HERE, Made, as_tar, described, file, layer, layout


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    with opened_store(tmp_path) as made:
        yield made


@pytest.mark.parametrize("how", ["", "gzip", "zstd"])
@pytest.mark.parametrize("as_", ["folder", "tar"])
async def test_a_layout_is_taken_in(store: ImageStore, tmp_path: Path, how: str, as_: str):
    image = app(b"hello", how=how, name="localhost/app:1")
    path = layout(tmp_path / "layout", image)

    taken = await store.take(path if as_ == "folder" else as_tar(path, tmp_path / "layout.tar"))

    root = await store.root(image.digest)
    assert taken == (image.digest,)
    assert (root.layers[1] / "app").read_bytes() == b"hello"
    assert (root.layers[0] / "etc/name").read_bytes() == b"base"
    assert await store.resolve("localhost/app:1") == image.digest
    assert [(one.digest, one.names) for one in await store.list()] == [
        (image.digest, ("localhost/app:1",))
    ]


async def test_a_layer_that_images_share_is_there_once(store: ImageStore, tmp_path: Path):
    one, two = app(b"one"), app(b"two", how="zstd")
    await store.take(layout(tmp_path / "layout", one, two))

    first, second = await store.root(one.digest), await store.root(two.digest)

    assert first.layers[0] == second.layers[0]
    assert len([name for name in kept(tmp_path, "layers") if "." not in name]) == 3


async def test_blobs_that_are_here_need_not_come_again(store: ImageStore, tmp_path: Path):
    one, two = app(b"one"), app(b"two")
    await store.take(layout(tmp_path / "first", one))
    second = layout(tmp_path / "second", two)
    for digest in one.blobs.keys() & two.blobs.keys():
        (second / "blobs/sha256" / digest.removeprefix("sha256:")).unlink()

    assert await store.take(second) == (two.digest,)


async def test_one_image_of_several_is_taken_by_its_digest(store: ImageStore, tmp_path: Path):
    one, two = app(b"one"), app(b"two")

    assert await store.take(layout(tmp_path / "layout", one, two), two.digest) == (two.digest,)

    with pytest.raises(BadInput, match="not in this vehicle"):
        await store.root(one.digest)
    with pytest.raises(BadInput, match="has no image"):
        await store.take(tmp_path / "layout", "sha256:" + "0" * 64)


async def test_a_name_means_the_image_that_was_taken_under_it_last(
    store: ImageStore, tmp_path: Path
):
    one, two = app(b"one", name="app"), app(b"two", name="app")
    await store.take(layout(tmp_path / "first", one))
    await store.take(layout(tmp_path / "second", two))

    assert await store.resolve("app") == two.digest
    await store.collect(frozenset({one.digest}))
    with pytest.raises(BadInput, match="is called"):
        await store.resolve("app")


async def test_the_image_of_an_index_that_runs_here_is_taken(store: ImageStore, tmp_path: Path):
    ours, theirs = app(b"ours"), app(b"theirs", platform={"os": "linux", "architecture": "arm64"})
    path = layout(tmp_path / "layout", ours, theirs)
    listed = json.loads((path / "index.json").read_text())["manifests"]
    inner = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {**listed[1], "platform": {"os": "linux", "architecture": "arm64"}},
                {**listed[0], "platform": HERE},
            ],
        }
    ).encode()
    digest = digest_of(inner)
    (path / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(inner)
    entry = described(inner, "application/vnd.oci.image.index.v1+json")
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))

    assert await store.take(path) == (digest,)
    assert ((await store.root(digest)).layers[1] / "app").read_bytes() == b"ours"
    assert await store.take(path, ours.digest) == (ours.digest,)
    await store.collect(frozenset({digest}))
    assert (await store.root(digest)).digest == digest


async def test_an_image_for_another_machine_is_refused(store: ImageStore, tmp_path: Path):
    image = app(b"x", platform={"os": "linux", "architecture": "riscv64"})

    with pytest.raises(BadInput, match="made for linux/riscv64, and this vehicle is linux/amd64"):
        await store.take(layout(tmp_path / "layout", image))


async def test_names_of_lower_layers_that_are_hidden_are_gone(store: ImageStore, tmp_path: Path):
    image = Made([BASE, layer(file("etc/.wh.old"), file("etc/new"))])
    await store.take(layout(tmp_path / "layout", image))

    await overlay.mount_root(await store.root(image.digest), tmp_path / "at")

    assert {path.name for path in (tmp_path / "at/etc").iterdir()} == {"name", "new"}


async def test_a_folder_that_hides_all_below_it_shows_its_own(store: ImageStore, tmp_path: Path):
    image = Made([BASE, layer(file("etc/.wh..wh..opq"), file("etc/new"))])
    await store.take(layout(tmp_path / "layout", image))

    await overlay.mount_root(await store.root(image.digest), tmp_path / "at")

    assert {path.name for path in (tmp_path / "at/etc").iterdir()} == {"new"}


async def test_a_root_that_hides_all_below_it_shows_its_own(store: ImageStore, tmp_path: Path):
    image = Made([BASE, layer(file(".wh..wh..opq"), file("only"))])
    await store.take(layout(tmp_path / "layout", image))

    await overlay.mount_root(await store.root(image.digest), tmp_path / "at")

    assert {path.name for path in (tmp_path / "at").iterdir()} == {"only"}


async def test_a_single_layer_that_hides_something_shows_nothing_odd(
    store: ImageStore, tmp_path: Path
):
    image = Made([layer(file("a"), file(".wh.b"))])
    await store.take(layout(tmp_path / "layout", image))

    await overlay.mount_root(await store.root(image.digest), tmp_path / "at")

    assert {path.name for path in (tmp_path / "at").iterdir()} == {"a"}


async def test_what_was_dropped_is_told(store: ImageStore, tmp_path: Path):
    image = Made([layer(file("su", mode=0o4755))])
    await store.take(layout(tmp_path / "layout", image))

    assert await store.warnings(image.digest) == ("'su' lost its set-user-id bit",)
