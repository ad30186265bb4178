"""Artifacts are fetched to the end, however often they are cut, and believed when they are right."""

from pathlib import Path

import pytest

from edge_agent.adapters.artifact_fetch import Artifacts
from edge_agent.adapters.memory_artifacts import MemoryArtifactSource
from fairway.errors import BadInput, Denied, Tampered, Unavailable
from fairway.oci.model import digest_of
from tests.artifact_place import artifact_place

CONTENT = bytes(range(256)) * 40
NAME = digest_of(CONTENT)
MOST = 1 << 20


class Shop:
    """A folder of a vehicle, and a cloud in memory."""

    def __init__(self, folder: Path) -> None:
        self.source = MemoryArtifactSource({NAME: CONTENT})
        self.source.piece_bytes = 1000
        self.folder, self.to = folder / "begun", folder / "there" / "file"
        self.left_bytes = MOST

    def artifacts(self) -> Artifacts:
        """Those of a new agent."""
        return Artifacts(self.folder, lambda: self.source, self.pay)

    async def pay(self, size_bytes: int) -> bool:
        if size_bytes > self.left_bytes:
            return False
        self.left_bytes -= size_bytes
        return True

    async def fetch(self, *, most_bytes: int = MOST) -> int:
        return await self.artifacts().fetch(NAME, self.to, most_bytes=most_bytes)

    @property
    def part(self) -> Path:
        return self.folder / f"{NAME.removeprefix('sha256:')}.part"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def test_an_artifact_is_put_where_it_belongs(shop: Shop):
    assert await shop.fetch() == len(CONTENT)

    assert shop.to.read_bytes() == CONTENT
    assert list(shop.folder.iterdir()) == []


async def test_what_is_there_is_not_fetched_again(shop: Shop):
    await shop.fetch()
    await shop.fetch()

    assert len(shop.source.asked) == 1


async def test_another_agent_goes_on_where_one_was_cut_off(shop: Shop):
    shop.source.breaks_off_at = 4321
    with pytest.raises(Unavailable):
        await shop.fetch()
    await shop.fetch()

    assert shop.source.asked == [(NAME, 0), (NAME, 4321)]
    assert shop.to.read_bytes() == CONTENT
    assert MOST - shop.left_bytes == len(CONTENT)  # not a byte twice


async def test_it_arrives_however_often_it_is_cut(shop: Shop):
    for at in range(500, len(CONTENT), 500):
        shop.source.breaks_off_at = at
        with pytest.raises(Unavailable):
            await shop.fetch()
    await shop.fetch()

    assert shop.to.read_bytes() == CONTENT
    assert MOST - shop.left_bytes == len(CONTENT)


@pytest.mark.parametrize("rest", [bytes(5000), CONTENT[:5000] + bytes(9), bytes(30_000)])
async def test_a_rest_that_a_power_cut_damaged_is_fetched_anew(shop: Shop, rest: bytes):
    shop.folder.mkdir()
    shop.part.write_bytes(rest)

    await shop.fetch()

    assert shop.to.read_bytes() == CONTENT


async def test_a_file_in_its_place_that_is_another_is_replaced(shop: Shop):
    shop.to.parent.mkdir()
    shop.to.write_bytes(b"damaged")

    await shop.fetch()

    assert shop.to.read_bytes() == CONTENT


async def test_a_cloud_that_sends_something_else_is_told_so_and_nothing_is_left(shop: Shop):
    shop.source.kept[NAME] = b"evil" * 100
    with pytest.raises(Tampered, match="what the cloud sends as"):
        await shop.fetch()

    assert not shop.to.exists()
    assert not shop.part.exists()


async def test_what_is_larger_than_expected_is_not_fetched(shop: Shop):
    with pytest.raises(BadInput, match="100 are allowed"):
        await shop.fetch(most_bytes=100)

    assert shop.left_bytes == MOST


async def test_what_the_budget_does_not_have_waits_and_is_gone_on_with(shop: Shop):
    shop.left_bytes = 4500
    with pytest.raises(Unavailable, match="budget"):
        await shop.fetch()
    assert shop.part.stat().st_size == 4000
    shop.left_bytes = MOST
    await shop.fetch()

    assert shop.source.asked[1] == (NAME, 4000)
    assert shop.to.read_bytes() == CONTENT


async def test_what_nobody_wants_any_more_is_removed(shop: Shop):
    shop.source.breaks_off_at = 4000
    with pytest.raises(Unavailable):
        await shop.fetch()
    shop.artifacts().forget(frozenset({NAME}))
    assert shop.part.exists()
    shop.artifacts().forget(frozenset())

    assert not shop.part.exists()


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
async def test_over_mutual_tls_from_the_cloud_itself(tmp_path: Path):
    content = bytes(range(256)) * 9000
    async with artifact_place(tmp_path) as place:
        digest = place.put(content)
        theirs = place.put(b"of another tenant", tenant="other")
        artifacts = Artifacts(tmp_path / "begun", place.source)
        folder = tmp_path / "there"

        await artifacts.fetch(digest, folder / "one", most_bytes=MOST * 10)
        assert (folder / "one").read_bytes() == content
        with pytest.raises(BadInput, match="no artifact is kept"):
            await artifacts.fetch(theirs, folder / "two", most_bytes=MOST)
        place.registry.certificates.revoke("VIN1", 1, "stolen")
        place.fleet.refresh()
        with pytest.raises(Denied):
            await artifacts.fetch(digest, folder / "three", most_bytes=MOST * 10)
