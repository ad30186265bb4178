"""Large files from the device door, or from where it sends us: gone on with, and verified, chunk by chunk.

    hashes of the chunks > what lies here already > ask from there on > pieces > whole, verified, in its place
                                                      ^--- wait <--- cut, busy, moved, not as it should be

Rule 1: what is decided is in edge_agent/updates/fetching.py, what is on disk in update_parts.py.
Rule 2: bytes are counted as they come, those for nothing too, and none is asked for that may not be taken.
Rule 3: a chunk that is wrong is asked for once more; wrong again, and the fetch is over.
"""

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.adapters.disk import Disk
from edge_agent.adapters.update_line import Cancel, Exchange, Line, Request
from edge_agent.adapters.update_parts import BadChunk, Part, is_blob
from edge_agent.adapters.update_threads import Threads
from edge_agent.updates.fetching import (
    Act,
    Asked,
    Attacked,
    Cut,
    Pace,
    Patience,
    Tries,
    act_on,
    chunk_hashes,
    chunk_list,
    paced,
    tried,
    wait_s,
)
from fairway import log
from fairway.errors import Denied, Unavailable
from ota.manifest import Blob
from ota.trust.model import Attack

EVENTS = log.get("edge_agent.updates")

# The cloud says where; a place that does not work is asked for again a few times.
MOVES_MAX = 8
# Hashed and written together: TLS has records of 16 KiB, and each would cost the calls of a whole one.
WRITE_BYTES = 256 * 1024

Told = Callable[
    [Blob, int], None
]  # a blob, and how many of its bytes are here, verified and durable


def nobody(_blob: Blob, _bytes: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a fetch needs beside the line."""

    patience: Patience
    told: Told = nobody
    chance: Callable[[], float] = random.random
    disk: Disk | None = None


class HttpContent:
    """Fetches blobs."""

    def __init__(self, line: Line, threads: Threads, around: Around) -> None:
        self._line, self._threads, self._around = line, threads, around

    async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
        return await self._threads.run(
            lambda cancel: _Fetch(self._line, self._around, cancel, most_bytes).to(blob, path)
        )


class _Fetch:
    """One fetch, in a thread."""

    def __init__(self, line: Line, around: Around, cancel: Cancel, most_bytes: int | None) -> None:
        self._line, self._around, self._cancel, self._most_bytes = line, around, cancel, most_bytes
        self._patience = around.patience
        self._taken = 0
        self._elsewhere = ""  # where the cloud sent us
        self._was_begun_anew = False
        self._moves = 0  # since bytes came
        self._bad_at = -1  # where the chunk begins that was wrong

    def to(self, blob: Blob, path: Path) -> int:
        """Put a blob at `path`, and return the bytes that were taken."""
        if is_blob(path, blob):
            return 0
        hashes = self._hashes(blob, path)
        part = Part(
            blob, path, hashes, lambda size: self._around.told(blob, size), self._around.disk
        )
        begun = part.have
        try:
            part.check_room()
            self._fill(blob, part)
            if not part.is_right and begun and not self._was_begun_anew and not hashes:
                # What lay here was of something else, and without hashes of chunks nobody saw it.
                self._begin_anew(blob, part)
                self._fill(blob, part)
            part.finish()
            at = _chunks_of(path)
            with contextlib.suppress(OSError):
                at.unlink(missing_ok=True)
        finally:
            part.pause()
        EVENTS.info("blob_fetched", sha256=blob.sha256, bytes=blob.length, taken=self._taken)
        return self._taken

    def _hashes(self, blob: Blob, path: Path) -> tuple[bytes, ...]:
        listed = chunk_list(blob)
        if listed is None:
            return ()
        at = _chunks_of(path)
        self._taken += _Fetch(
            self._line,
            replace(self._around, told=nobody),
            self._cancel,
            self._most_bytes,
        ).to(listed, at)
        try:
            return chunk_hashes(at.read_bytes())
        except OSError as error:
            raise Unavailable(f"{at} cannot be read: {error.strerror}") from error

    def _fill(self, blob: Blob, part: Part) -> None:
        """Have all bytes come."""
        tries = Tries()
        while part.left:
            self._cancel.check()
            self._afford(blob, part)
            before = self._taken
            act, why, retry_after_s = self._tried_once(blob, part)
            if act in (Act.READ, Act.MOVED):
                continue
            got = self._taken - before
            tries = tried(self._patience, tries, got_bytes=got, act=act, why=why)
            if act is Act.ANEW:
                self._begin_anew(blob, part)
                continue
            EVENTS.info("fetch_waits", sha256=blob.sha256, have=part.have, why=why)
            chance = self._around.chance()
            self._cancel.wait(wait_s(self._patience, tries.failed, retry_after_s, chance))

    def _tried_once(self, blob: Blob, part: Part) -> tuple[Act, str, float | None]:
        """Ask from where we are, take what comes, and say what to do, why, and after how long."""
        try:
            return self._once(blob, part)
        except BadChunk as error:
            if part.have == self._bad_at:
                raise Attacked(
                    Attack.ARBITRARY_SOFTWARE,
                    f"the chunk of {blob.sha256} at byte {part.have} is not what was signed, twice",
                ) from error
            self._bad_at = part.have
            return Act.AGAIN, f"the chunk at byte {part.have} is not what was signed", None
        except Cut as error:
            self._cancel.check()
            return Act.AGAIN, str(error), None
        finally:
            part.settle()

    def _once(self, blob: Blob, part: Part) -> tuple[Act, str, float | None]:
        where, self._elsewhere = self._elsewhere, ""
        request = Request("GET", where or f"/blobs/{blob.sha256}", _headers(blob, part, where))
        with self._line.exchange(request, self._cancel) as exchange:
            answer = exchange.answer
            asked = Asked(part.have, blob.length, self._was_begun_anew, is_elsewhere=bool(where))
            act = act_on(answer, asked)
            if act is Act.READ_ANEW:
                self._begin_anew(blob, part)
                act = Act.READ
            if act is Act.READ:
                self._read(blob, part, exchange)
            elif act is Act.MOVED:
                self._elsewhere = answer.location
                self._moves += 1
                if self._moves > MOVES_MAX:
                    act = Act.AGAIN
            return act, f"{answer.status} for {blob.sha256}", answer.retry_after_s

    def _read(self, blob: Blob, part: Part, exchange: Exchange) -> None:
        pace, waiting = Pace(), bytearray()
        try:
            while part.left > len(waiting):
                data = exchange.piece()
                self._cancel.check()
                pace = paced(self._patience, pace, len(data), exchange.waited_ns)
                if not data:
                    at = part.have + len(waiting)
                    raise Cut(f"{blob.sha256} was cut off at byte {at} of {blob.length}")
                self._taken += len(data)
                waiting += data
                if len(waiting) >= WRITE_BYTES:
                    _hand_over(waiting, part)
        finally:
            _hand_over(waiting, part)
        self._moves = 0

    def _begin_anew(self, blob: Blob, part: Part) -> None:
        EVENTS.warning("fetch_begun_anew", sha256=blob.sha256, had=part.have)
        self._was_begun_anew = True
        part.anew()
        self._afford(blob, part)

    def _afford(self, blob: Blob, part: Part) -> None:
        """Raise Denied when the rest may not be taken."""
        if self._most_bytes is not None and self._taken + part.left > self._most_bytes:
            raise Denied(
                f"{blob.sha256} needs {part.left} more bytes, and"
                f" {max(0, self._most_bytes - self._taken)} may be taken"
            )


def _hand_over(waiting: bytearray, part: Part) -> None:
    """Write what has come, once, whatever becomes of it."""
    data = bytes(waiting)
    waiting.clear()
    if data:
        part.write(data)


def _headers(blob: Blob, part: Part, elsewhere: str) -> dict[str, str]:
    if not part.have:
        return {}
    wanted = {"Range": f"bytes={part.have}-"}
    # Other places call the same bytes by other tags.
    return wanted if elsewhere else {**wanted, "If-Range": f'"{blob.sha256}"'}


def _chunks_of(path: Path) -> Path:
    """Return where the hashes of a file's chunks are while it is being fetched."""
    return path.with_name(path.name + ".chunks")
