"""Images that services lack come from the cloud, part by part, onto the vehicle's real shelf."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.adapters.artifact_fetch import Artifacts
from edge_agent.adapters.image_fetch import HOPELESS_RETRY_S, FetchTerms, ImageFetch
from edge_agent.adapters.images import ImageStore
from edge_agent.adapters.memory_artifacts import MemoryArtifactSource
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput
from fairway.oci.model import Platform, digest_of
from tests.artifact_place import artifact_place
from tests.small_image import HERE, SmallImage, index_of, small_image

IMAGE = small_image(b"#!/bin/sh\n", b"more" * 100)


class Agent:
    """Services that lack images, a cloud in memory, and a shelf on disk."""

    def __init__(self, folder: Path) -> None:
        self.source = MemoryArtifactSource(IMAGE.blobs)
        self.clock = ManualClock()
        self.images = ImageStore(folder / "shelf", in_use=frozenset)
        self.folder = folder / "fetching"
        self.fetching = ImageFetch(
            self.folder,
            Artifacts(folder / "begun", lambda: self.source),
            self.images,
            self.clock,
            FetchTerms(HERE, chance=lambda: 1.0),
        )
        self.images_missing: frozenset[str] = frozenset()
        self.looked = 0

    def images_changed(self) -> None:
        self.looked += 1

    async def want(self, *digests: str) -> None:
        """Have services want images, and look once."""
        self.images_missing = frozenset(digests)
        await self.fetching.fetch_missing(self)

    async def held(self) -> set[str]:
        return {one.digest for one in await self.images.list()}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    made = Agent(tmp_path)
    yield made
    await asyncio.to_thread(made.images.close)


async def test_an_image_that_is_missing_is_fetched_and_unpacked(agent: Agent):
    await agent.want(IMAGE.digest)

    root = await agent.images.root(IMAGE.digest)
    assert root.settings.argv == ("/file0",)
    assert (root.layers[-1] / "file0").exists() or (root.layers[0] / "file0").exists()
    assert agent.looked == 1
    assert agent.fetching.troubles == {}
    assert list(agent.folder.iterdir()) == []


async def test_nothing_is_asked_for_but_what_is_missing_and_its_parts(agent: Agent):
    agent.source.kept |= small_image(b"another").blobs
    await agent.want(IMAGE.digest)

    assert {digest for digest, _ in agent.source.asked} == set(IMAGE.blobs)
    before = len(agent.source.asked)
    await agent.want()
    assert len(agent.source.asked) == before


async def test_a_layer_that_another_image_has_is_not_fetched_again(agent: Agent):
    await agent.want(IMAGE.digest)
    newer = small_image(b"#!/bin/sh\n", b"changed")
    agent.source.kept |= newer.blobs
    agent.source.asked.clear()

    await agent.want(newer.digest)

    assert newer.layers[0] == IMAGE.layers[0]
    assert newer.layers[0] not in {digest for digest, _ in agent.source.asked}
    assert await agent.held() == {IMAGE.digest, newer.digest}


async def test_what_was_cut_off_goes_on_a_while_later(agent: Agent):
    agent.source.breaks_off_at = 600  # of the first part that is so long
    await agent.want(IMAGE.digest)
    assert "the connection is lost" in agent.fetching.troubles[IMAGE.digest]
    assert agent.looked == 0
    asked = len(agent.source.asked)

    await agent.want(IMAGE.digest)
    assert len(agent.source.asked) == asked  # not yet
    agent.clock.advance(1 * NS_PER_S)
    await agent.want(IMAGE.digest)

    assert agent.looked == 1
    assert any(offset == 600 for _, offset in agent.source.asked)
    assert agent.fetching.troubles == {}


async def test_an_image_that_the_cloud_does_not_have_is_told_and_asked_for_seldom(agent: Agent):
    absent = "sha256:" + "0" * 64
    await agent.want(absent)
    assert f"there is no artifact {absent}" in agent.fetching.troubles[absent]

    agent.clock.advance(int(HOPELESS_RETRY_S * NS_PER_S) - 1)
    await agent.want(absent)
    assert len(agent.source.asked) == 1
    agent.clock.advance(1)
    await agent.want(absent)
    assert len(agent.source.asked) == 2
    await agent.want()
    assert agent.fetching.troubles == {}


async def test_one_that_cannot_be_fetched_does_not_keep_another_from_coming(agent: Agent):
    await agent.want("sha256:" + "0" * 64, IMAGE.digest)

    assert await agent.held() == {IMAGE.digest}


async def test_of_an_index_the_image_for_this_vehicle_is_fetched(agent: Agent):
    other = small_image(b"for another machine", of=Platform("linux", "s390x"))
    foreign = SmallImage(other.blobs, other.digest, other.layers)
    digest, data = index_of([IMAGE])
    agent.source.kept |= {digest: data} | foreign.blobs

    await agent.want(digest)

    assert await agent.held() == {digest}
    assert other.digest not in {asked for asked, _ in agent.source.asked}


async def test_a_part_of_another_size_than_its_manifest_says_is_refused(agent: Agent):
    lied = small_image(b"x")
    manifest = lied.blobs[lied.digest].replace(b'"size":10240', b'"size":10241')
    digest = digest_of(manifest)
    agent.source.kept |= lied.blobs | {digest: manifest}
    assert manifest != lied.blobs[lied.digest]

    await agent.want(digest)

    assert "must have 10241 bytes, and has 10240" in agent.fetching.troubles[digest]
    assert await agent.held() == set()


async def test_an_image_that_is_larger_than_the_vehicle_takes_is_not_fetched(tmp_path: Path):
    agent = Agent(tmp_path)
    small = ImageFetch(
        agent.folder,
        Artifacts(tmp_path / "b", lambda: agent.source),
        agent.images,
        agent.clock,
        FetchTerms(HERE, image_max_bytes=1000),
    )

    with pytest.raises(BadInput, match="1000 are allowed"):
        await small.fetch(IMAGE.digest)
    assert not set(IMAGE.layers) & {digest for digest, _ in agent.source.asked}
    await asyncio.to_thread(agent.images.close)


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
async def test_an_image_comes_over_mutual_tls_from_the_cloud_itself(agent: Agent, tmp_path: Path):
    async with artifact_place(tmp_path) as place:
        for data in IMAGE.blobs.values():
            place.put(data)
        fetching = ImageFetch(
            tmp_path / "f",
            Artifacts(tmp_path / "b", place.source),
            agent.images,
            agent.clock,
            FetchTerms(HERE),
        )
        await fetching.fetch(IMAGE.digest)

    assert await agent.held() == {IMAGE.digest}
