"""Archives as `docker save` writes them are written and read."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters.images import ImageStore
from fairway.errors import BadInput
from fairway.oci.model import digest_of
from tests.edge_agent.adapters.image_store import BASE, opened_store
from tests.images import HERE, Made, file, layer, layout, symlink


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
