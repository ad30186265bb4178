"""The few words of HTTP/1.1 that the Docker Engine API needs, over the engine's Unix socket.

    await ask("POST", "/containers/create", body)  ->  Answer(status, document)
    async with stream("GET", "/events") as pieces  ->  bytes as they come, for as long as they come

Rule 1: one connection for each request: an engine that hangs costs one request its time, and no other.
Rule 2: what an engine says is limited: heads, answers and lines have a largest size.
Rule 3: an engine that cannot be reached, or says what is no HTTP, is Unavailable.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fairway.errors import Unavailable

# 1.41 is spoken by engines since 2020; newer ones speak it still.
API = "/v1.41"
ANSWER_MAX_BYTES = 16 * 1024 * 1024
# Creating waits for the disk, loading for an image to be unpacked: a busy vehicle has minutes for it.
TIMEOUT_S = 120.0
_HEAD_MAX_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_STATUS_PARTS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked, or had done so before (304)."""
        return self.status < 400

    @property
    def document(self) -> Any:
        """What it says, as JSON.  Raises Unavailable."""
        try:
            return json.loads(self.body or b"null")
        except ValueError as error:
            raise Unavailable(f"the container engine says what is no JSON: {error}") from error

    @property
    def reason(self) -> str:
        """Why it refused, in one line."""
        try:
            said = json.loads(self.body)
        except ValueError:
            said = None
        message = said.get("message") if isinstance(said, dict) else None
        return " ".join(str(message or f"status {self.status}").split())[:500]


class EngineClient:
    """Asks one container engine."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout_s: float = TIMEOUT_S,
        **query: str,
    ) -> Answer:
        """Return what the engine answers.  Raises Unavailable when it does not."""
        data = b"" if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(timeout_s), self._asked(method, path, query) as talk:
                await talk.send(data, "application/json")
                status = await talk.status()
                whole = bytearray()
                async for piece in talk.pieces():
                    whole += piece
                    if len(whole) > ANSWER_MAX_BYTES:
                        raise Unavailable(f"the container engine answers {path} without end")
        except TimeoutError as error:
            raise Unavailable(f"the container engine did not answer {path} in time") from error
        return Answer(status, bytes(whole))

    async def load(self, archive: Path) -> Answer:
        """Hand an archive of an image to the engine.  Raises Unavailable."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._asked("POST", "/images/load", {"quiet": "1"}) as talk,
            ):
                await talk.send_file(archive)
                status = await talk.status()
                whole = b"".join([piece async for piece in talk.pieces()])
        except TimeoutError as error:
            raise Unavailable("the container engine did not load an image in time") from error
        return Answer(status, whole)

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, body: object = None, **query: str
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give what the engine says as it says it.  Raises Unavailable, also when it refuses."""
        data = b"" if body is None else json.dumps(body).encode()
        async with self._asked(method, path, query) as talk:
            await talk.send(data, "application/json")
            status = await talk.status()
            if status >= 400:
                whole = b"".join([piece async for piece in talk.pieces()])
                raise Unavailable(f"the container engine: {Answer(status, whole).reason}")
            yield talk.pieces()

    @contextlib.asynccontextmanager
    async def _asked(self, method: str, path: str, query: dict[str, str]) -> AsyncIterator["_Talk"]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=_HEAD_MAX_BYTES)
        except OSError as error:
            raise Unavailable(
                f"the container engine is not at {self._socket}: {error.strerror}"
            ) from error
        target = f"{API}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            yield _Talk(reader, writer, f"{method} {target} HTTP/1.1")
        except (
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
        ) as error:
            raise Unavailable(f"the container engine broke off at {path}: {error}") from error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Talk:
    """One request and its answer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: str
    ) -> None:
        self._reader, self._writer, self._request = reader, writer, request
        self._length: int | None = None  # None: until the end of the connection
        self._is_chunked = False

    async def send(self, data: bytes, kind: str) -> None:
        self._writer.write(self._head(len(data), kind) + data)
        await self._writer.drain()

    async def send_file(self, path: Path) -> None:
        """Send a file as it is, piece by piece.  Raises Unavailable."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._writer.write(self._head(size, "application/x-tar"))
            while piece := file.read(_PIECE_BYTES):
                self._writer.write(piece)
                await self._writer.drain()

    def _head(self, size: int, kind: str) -> bytes:
        lines = (
            self._request,
            "Host: localhost",
            "Connection: close",
            f"Content-Type: {kind}",
            f"Content-Length: {size}",
            "",
            "",
        )
        return "\r\n".join(lines).encode("ascii")

    async def status(self) -> int:
        """Return the status, having read the head of the answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        if (
            len(words) < _STATUS_PARTS
            or not words[0].startswith("HTTP/1.")
            or not words[1].isdigit()
        ):
            raise ValueError(f"{head[0][:80]!r} is no HTTP")
        pairs = (line.partition(":")[::2] for line in head[1:])
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        self._is_chunked = "chunked" in fields.get("transfer-encoding", "")
        length = fields.get("content-length", "")
        self._length = int(length) if length.isdigit() else None
        if int(words[1]) in (204, 304):
            self._length = 0
        return int(words[1])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        if self._is_chunked:
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if size > ANSWER_MAX_BYTES:
                    raise ValueError(f"a chunk of {size} bytes")
                yield await self._reader.readexactly(size)
                await self._reader.readexactly(2)
            return
        left = self._length
        while left is None or left > 0:
            piece = await self._reader.read(
                _PIECE_BYTES if left is None else min(left, _PIECE_BYTES)
            )
            if not piece:
                if left:
                    raise ValueError("it ended early")
                return
            left = None if left is None else left - len(piece)
            yield piece
