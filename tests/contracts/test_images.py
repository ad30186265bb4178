"""What everything that has images promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.services_memory import MemoryImages
from edge_agent.services.instance import ImageSettings, Root
from edge_agent.services.ports import Images
from fairway.errors import BadInput
from tests.images import Made, file, layer, layout

ONE = Made([layer(file("common", b"base")), layer(file("app", b"one"))], config={"User": "7"})
TWO = Made(
    [layer(file("common", b"base")), layer(file("app", b"two"))], config={"WorkingDir": "/w"}
)
SETTINGS = {
    ONE.digest: ImageSettings(("/bin/sh",), user="7"),
    TWO.digest: ImageSettings(("/bin/sh",), folder="/w"),
}


@pytest.fixture(params=["memory", "store"])
async def images(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Images]:
    if request.param == "memory":
        yield MemoryImages(*(memory_root(tmp_path, one) for one in (ONE, TWO)))
        return
    store = ImageStore(tmp_path / "store")
    await store.take(layout(tmp_path / "layout", ONE, TWO))
    yield store
    store.close()


def memory_root(tmp_path: Path, image: Made) -> Root:
    folder = tmp_path / image.digest[-6:]
    folder.mkdir()
    (folder / "app").write_bytes(b"one" if image is ONE else b"two")
    return Root(image.digest, (folder,), SETTINGS[image.digest])


def app_of(root: Root) -> bytes:
    return (root.layers[-1] / "app").read_bytes()


async def test_an_image_is_given_with_its_layers_and_how_it_is_run(images: Images):
    one, two = await images.root(ONE.digest), await images.root(TWO.digest)

    assert (app_of(one), app_of(two)) == (b"one", b"two")
    assert (one.settings, two.settings) == (SETTINGS[ONE.digest], SETTINGS[TWO.digest])
    assert (one.digest, two.digest) == (ONE.digest, TWO.digest)


async def test_an_image_that_is_not_here_will_not_run(images: Images):
    with pytest.raises(BadInput, match="not in this vehicle"):
        await images.root("sha256:" + "0" * 64)


async def test_what_is_no_digest_names_no_image(images: Images):
    with pytest.raises(BadInput, match="no digest"):
        await images.root("../../etc")


async def test_what_nobody_needs_goes_and_what_is_kept_stays_whole(images: Images):
    await images.collect(frozenset({TWO.digest}))

    assert app_of(await images.root(TWO.digest)) == b"two"
    with pytest.raises(BadInput):
        await images.root(ONE.digest)


async def test_collecting_twice_changes_nothing_more(images: Images):
    await images.collect(frozenset({TWO.digest}))

    assert await images.collect(frozenset({TWO.digest})) == 0
    assert app_of(await images.root(TWO.digest)) == b"two"
