"""The little HTTP a demo speaks: answers as text, and lines as they come."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from fairway.errors import Unavailable

# On this machine an answer comes in milliseconds; a store that is merging may take a second.
ANSWER_S = 10.0


async def text(url: str, key: str = "") -> str:
    """Return the body that `url` answers the holder of `key` with.  Raises Unavailable."""
    return await asyncio.to_thread(_text, url, key)


async def send(url: str, key: str, body: object = None) -> str:
    """Post `body` as JSON in the name of the holder of `key`; return the answer.  Raises Unavailable."""
    return await asyncio.to_thread(
        _text, url, key, b"" if body is None else json.dumps(body).encode()
    )


async def answers(url: str, key: str = "") -> bool:
    """Return whether `url` answers with success."""
    try:
        await text(url, key)
    except Unavailable:
        return False
    return True


async def lines(url: str, key: str) -> AsyncIterator[str]:
    """Yield the lines of an endless answer, as they come.  Raises Unavailable."""
    where = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(
            f"GET {where.path}?{where.query} HTTP/1.0\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        await writer.drain()
        try:
            while line := await reader.readline():
                yield line.decode().rstrip()
        finally:
            writer.close()
    except OSError as error:
        raise Unavailable(f"cannot listen to {url}: {error}") from error


def _text(url: str, key: str, body: bytes | None = None) -> str:
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    if body:
        shown["Content-Type"] = "application/json"
    wanted = urllib.request.Request(url, body, shown)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(wanted, timeout=ANSWER_S) as answer:  # noqa: S310 - likewise
            said: bytes = answer.read()
    except (OSError, urllib.error.URLError) as error:
        raise Unavailable(f"{url} does not answer: {error}") from error
    return said.decode()
