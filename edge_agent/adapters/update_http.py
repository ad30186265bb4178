"""Metadata from the device door, and what the vehicle tells it.

    GET /director/NAME, /repo/NAME     PUT /director/manifest     POST /director/ecus, /events

Rule 1: a file is read up to the bytes that were wanted, and no further, however many are announced or come.
Rule 2: what a server cannot do now is tried again a few times; what it refuses is not.
"""

import contextlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from edge_agent.adapters.update_content import Around, HttpContent, Told, nobody
from edge_agent.adapters.update_line import HTTPS_PORT, Cancel, Door, Exchange, Line, Request
from edge_agent.adapters.update_threads import Threads
from edge_agent.adapters.uplink_tls import Address
from edge_agent.updates.fetching import (
    Act,
    Attacked,
    Cut,
    Pace,
    Patience,
    Tries,
    act_on_small,
    paced,
    tried,
    wait_s,
)
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.update import UpdateEvent
from fairway.wire.updates import EVENTS_MAX, events_to_json
from ota.registration import Registered, ecus_to_json
from ota.trust.model import Attack, Repository, Wanted

_FOLDERS = {Repository.DIRECTOR: "/director/", Repository.IMAGE: "/repo/"}
# What a server says of an error, for a person.
_REASON_MAX_BYTES = 4096


class HttpMetadata:
    """Fetches metadata."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk

    async def get(self, wanted: Wanted) -> bytes | None:
        path = _FOLDERS[wanted.repository] + quote(wanted.name, safe="/")
        return await self._talk.run(lambda cancel: self._talk.get(path, wanted.max_bytes, cancel))


class HttpReports:
    """Tells the cloud."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk

    async def report(self, signed: bytes) -> None:
        await self._send("PUT", "/director/manifest", signed)

    async def tell(self, events: Sequence[UpdateEvent]) -> None:
        for at in range(0, len(events), EVENTS_MAX):
            await self._send("POST", "/events", events_to_json(events[at : at + EVENTS_MAX]))

    async def register(self, ecus: Sequence[Registered]) -> None:
        """Make the vehicle's ECUs known.  Raises Unavailable, also until a person accepts them; BadInput."""
        await self._send("POST", "/director/ecus", ecus_to_json(ecus))

    async def _send(self, method: str, path: str, body: bytes) -> None:
        request = Request(method, path, {"Content-Type": "application/json"}, body)
        await self._talk.run(lambda cancel: self._talk.hand_in(request, cancel))


class Talk:
    """Small requests, tried a few times."""

    def __init__(
        self,
        line: Line,
        threads: Threads,
        patience: Patience,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._line, self._patience, self._chance = line, patience, chance
        self.run = threads.run

    def get(self, path: str, max_bytes: int, cancel: Cancel) -> bytes | None:
        """Return a small file, None when there is none.  Raises Attacked, Unavailable, BadInput."""

        def read(exchange: Exchange) -> bytes | None:
            return self._body(exchange, path, max_bytes)

        return self._tried(Request("GET", path), read, cancel)

    def hand_in(self, request: Request, cancel: Cancel) -> None:
        """Have the cloud take something.  Raises Unavailable, BadInput."""
        self._tried(request, lambda exchange: self._body(exchange, request.path, 0), cancel)

    def _tried(
        self, request: Request, read: Callable[[Exchange], bytes | None], cancel: Cancel
    ) -> bytes | None:
        tries = Tries()
        while True:
            retry_after_s = None
            try:
                with self._line.exchange(request, cancel) as exchange:
                    act = act_on_small(exchange.answer.status)
                    if act is Act.READ:
                        return read(exchange)
                    if exchange.answer.status in (404, 410) and request.method == "GET":
                        return None
                    retry_after_s = exchange.answer.retry_after_s
                    why = self._why(request, exchange)
            except Cut as error:
                cancel.check()
                act, why = Act.AGAIN, f"{request.path}: {error}"
            patience = self._patience
            tries = tried(patience, tries, got_bytes=0, act=act, why=why)
            cancel.wait(wait_s(patience, tries.failed, retry_after_s, self._chance()))

    def _body(self, exchange: Exchange, path: str, max_bytes: int) -> bytes:
        """Return a body.  Raises Attacked when it is longer, or comes too slowly; Cut when it ends early."""
        announced = exchange.answer.length
        found, pace = bytearray(), Pace()
        while len(found) <= max_bytes and (announced or 0) <= max_bytes:
            data = exchange.piece()
            if not data:
                break
            found += data
            pace = paced(self._patience, pace, len(data), exchange.waited_ns)
        if len(found) > max_bytes or (announced or 0) > max_bytes:
            raise Attacked(Attack.ENDLESS_DATA, f"{path} has more than {max_bytes} bytes")
        if not exchange.is_whole:
            raise Cut(f"it was cut off after {len(found)} bytes")
        return bytes(found)

    def _why(self, request: Request, exchange: Exchange) -> str:
        """Return what the cloud says of an error, in one line."""
        status = exchange.answer.status
        said = b""
        with contextlib.suppress(Unavailable, Attacked):
            said = self._body(exchange, request.path, _REASON_MAX_BYTES)
        try:
            detail = json.loads(said)["detail"]
        except (ValueError, KeyError, TypeError, RecursionError):
            detail = ""
        told = f": {' '.join(str(detail).split())[:300]}" if detail else ""
        return f"the cloud answers {status} to {request.method} {request.path}{told}"


def door_of(url: str, target: Address, *, storage_ca: Path | None = None) -> Door:
    """Return the door at `url`, reached as `target` says who we are and whom we trust.  Raises BadInput."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or HTTPS_PORT
    except ValueError as error:
        raise BadInput(f"{url!r} is no address of updates: {error}") from error
    if parts.scheme != "https" or not host or parts.query or parts.fragment or parts.username:
        raise BadInput(f"{url!r} is no address of updates: write https://HOST:PORT")
    target.guard.check_host(host)
    where = replace(target, scheme="https", host=host, port=port)
    return Door(where, parts.path.rstrip("/"), storage_ca)


@dataclass(frozen=True, slots=True)
class UpdateServer:
    """The cloud's side of updates, over one line."""

    metadata: HttpMetadata
    content: HttpContent
    reports: HttpReports
    close: Callable[[], None]


def update_server(
    door: Callable[[], Door], clock: Clock, patience: Patience, told: Told = nobody
) -> UpdateServer:
    """Return the ports of updates over HTTPS; `door` is asked at each connection, and may raise BadInput.

    `told` is told how much of a blob is here, from a thread.
    """
    line, threads = Line(door, clock, patience), Threads()
    talk = Talk(line, threads, patience)

    def close() -> None:
        threads.close()
        line.close()

    return UpdateServer(
        HttpMetadata(talk),
        HttpContent(line, threads, Around(patience, told)),
        HttpReports(talk),
        close,
    )
