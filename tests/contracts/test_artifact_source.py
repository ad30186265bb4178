"""What every source of artifacts promises a vehicle: one in memory, and the cloud's door over mutual TLS."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.adapters.artifact_fetch import ArtifactSource
from edge_agent.adapters.memory_artifacts import MemoryArtifactSource
from fairway.errors import BadInput
from fairway.oci.model import digest_of
from fairway.wire.artifacts import PIECE_MAX_BYTES
from tests.artifact_place import artifact_place

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CONTENT = bytes(range(256)) * 2500  # some pieces
ABSENT = "sha256:" + "0" * 64


@pytest.fixture(params=["memory", "grpc"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ArtifactSource]:
    if request.param == "memory":
        yield MemoryArtifactSource({digest_of(one): one for one in (CONTENT, b"")})
        return
    async with artifact_place(tmp_path) as place:
        for one in (CONTENT, b""):
            place.put(one)
        yield place.source()


async def read(source: ArtifactSource, digest: str, offset: int = 0) -> tuple[bytes, set[int]]:
    found, sizes = b"", set()
    async with contextlib.aclosing(source.pieces(digest, offset)) as pieces:  # type: ignore[type-var]
        async for data, size in pieces:
            assert len(data) <= PIECE_MAX_BYTES
            found += data
            sizes.add(size)
    return found, sizes


@pytest.mark.parametrize("offset", [0, 1, 300_000, len(CONTENT) - 1, len(CONTENT)])
async def test_an_artifact_comes_from_any_byte_with_its_size(source: ArtifactSource, offset: int):
    found, sizes = await read(source, digest_of(CONTENT), offset)

    assert found == CONTENT[offset:]
    assert sizes == {len(CONTENT)}


async def test_nothing_comes_with_its_size_too(source: ArtifactSource):
    assert await read(source, digest_of(b"")) == (b"", {0})


async def test_what_is_not_there_never_comes(source: ArtifactSource):
    with pytest.raises(BadInput, match=ABSENT):
        await read(source, ABSENT)


async def test_no_byte_lies_behind_the_end(source: ArtifactSource):
    with pytest.raises(BadInput):
        await read(source, digest_of(CONTENT), len(CONTENT) + 1)


async def test_who_has_enough_goes_and_comes_again(source: ArtifactSource):
    for _ in range(6):  # more than may be open at once
        async with contextlib.aclosing(source.pieces(digest_of(CONTENT), 0)) as pieces:  # type: ignore[type-var]
            async for data, _ in pieces:
                if data:
                    break

    assert (await read(source, digest_of(CONTENT)))[0] == CONTENT
