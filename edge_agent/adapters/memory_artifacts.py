"""Artifacts in memory, for trials and tests: a cloud that can break off, and send something else."""

from collections.abc import AsyncIterator, Mapping

from fairway.errors import BadInput, Unavailable
from fairway.wire.artifacts import PIECE_MAX_BYTES


class MemoryArtifactSource:
    """Sends what it was given."""

    def __init__(self, kept: Mapping[str, bytes]) -> None:
        self.kept = dict(kept)
        self.piece_bytes = PIECE_MAX_BYTES
        self.breaks_off_at: int | None = (
            None  # before this byte of an artifact the connection ends, once
        )
        self.asked: list[tuple[str, int]] = []  # digests and offsets

    async def pieces(self, digest: str, offset: int) -> AsyncIterator[tuple[bytes, int]]:
        self.asked.append((digest, offset))
        data = self.kept.get(digest)
        if data is None:
            raise BadInput(f"there is no artifact {digest}")
        if offset > len(data):
            raise BadInput(f"{digest} has {len(data)} bytes, and none at {offset}")
        yield b"", len(data)
        breaks_off_at = self.breaks_off_at
        is_cut = breaks_off_at is not None and offset <= breaks_off_at < len(data)
        end = breaks_off_at if is_cut and breaks_off_at is not None else len(data)
        for at in range(offset, end, self.piece_bytes):
            yield data[at : min(at + self.piece_bytes, end)], len(data)
        if is_cut:
            self.breaks_off_at = None
            raise Unavailable("the connection is lost")
