"""HTTPS to the device door: a request, the head of its answer, its body, whatever the other side does.

    exchange(request) > connect, TLS, who is there? > head within HEAD_MAX_S > pieces, each within silence_max_s

Rule 1: TLS with the vehicle's certificate to the cloud; to where the cloud sends us without it, and with
nothing else that tells who we are.
Rule 2: nobody keeps us waiting: connecting and the head have a time, silence has a time, and whoever gives up
waiting hangs up from another thread.
Rule 3: a connection is used again while it is quiet and whole; certificates are read at each new one.
"""

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.adapters.uplink_tls import Address, tls_context
from edge_agent.updates.fetching import Answer, Cut, Patience
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, FairwayError, Unavailable

CONNECT_MAX_S = 15.0
HEAD_MAX_S = 60.0
HTTPS_PORT = 443
# One read of a socket: TLS has records of 16 KiB.
PIECE_BYTES = 256 * 1024
USER_AGENT = "fairway-edge-agent"
# The door hangs up on who is quiet for 15 s.
IDLE_MAX_S = 10.0
_CONTENT_RANGE = re.compile(
    r"bytes (?:(?P<first>\d{1,19})-\d{1,19}|\*)/(?P<total>\d{1,19}|\*)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    method: str
    path: str  # below the door's own, with its slash; or a whole https:// URL that the cloud named
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether it goes to where the cloud sent us."""
        return self.path.startswith("https://")


class Cancel:
    """A way to have a thread give up: from now on it waits for nothing."""

    def __init__(self) -> None:
        self._event, self._lock = threading.Event(), threading.Lock()
        self._socket: socket.socket | None = None

    @property
    def is_set(self) -> bool:
        """Whether all is over."""
        return self._event.is_set()

    def set(self) -> None:
        """Give up."""
        self._event.set()
        self.hang_up()

    def wait(self, seconds: float) -> None:
        """Wait, or not when all is over."""
        self._event.wait(seconds)

    def check(self) -> None:
        """Raise Unavailable when all is over."""
        if self.is_set:
            raise Unavailable("it was given up")

    def hang_up(self) -> None:
        """End the connection that is being used: whoever reads from it reads its end."""
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                # Of the socket itself: TLS's own would forget the keys that a reader is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def over(self, used: socket.socket | None) -> Iterator[None]:
        """Know what to hang up, while it is used."""
        with self._lock:
            self._socket = used
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._socket = None


class Exchange:
    """An answer, of which the head has come."""

    def __init__(self, response: http.client.HTTPResponse, clock: Clock) -> None:
        self._response, self._clock = response, clock
        self._left = None if response.chunked else response.length
        self._is_over = response.isclosed()
        self.answer = _answer(response)
        self.waited_ns = 0  # for the latest piece

    def piece(self) -> bytes:
        """Return bytes of the body, none at its end or where it was cut off.  Raises Cut."""
        if self._left == 0:
            return b""
        before_ns = self._clock.monotonic_ns()
        most = PIECE_BYTES if self._left is None else min(PIECE_BYTES, self._left)
        try:
            data = self._response.read1(most)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Cut(f"the answer was cut off: {_why(error)}") from error
        finally:
            self.waited_ns = self._clock.monotonic_ns() - before_ns
        self._is_over = not data
        if self._left is not None:
            self._left -= len(data)
        return data

    @property
    def is_whole(self) -> bool:
        """Whether the body has come to its end, and not only to where it was cut off."""
        return self._left == 0 or (self._left is None and self._is_over)


@dataclass(frozen=True, slots=True)
class Door:
    """The device door, and how places are reached that it names."""

    target: Address  # scheme https
    path: str = ""  # before all others, without a slash at its end
    storage_ca: Path | None = (
        None  # who signed those places' certificates; the system's CAs by default
    )


class Line:
    """Talks to one device door."""

    def __init__(self, door: Callable[[], Door], clock: Clock, patience: Patience) -> None:
        """`door` is asked at each new connection: the cloud may have moved.  It may raise BadInput."""
        self._door, self._clock, self._patience = door, clock, patience
        self._lock = threading.Lock()
        self._idle: tuple[Door, _Connection, int] | None = None

    @contextlib.contextmanager
    def exchange(self, request: Request, cancel: Cancel) -> Iterator[Exchange]:
        """Ask, and give the answer.

        Raises Cut, Denied when who is there is not the cloud, BadInput, Unavailable when it was given up.
        """
        door = self._door()
        connection, response = self._asked(door, request, cancel)
        is_whole = False
        try:
            exchange = Exchange(response, self._clock)
            with cancel.over(connection.used):
                yield exchange
            is_whole = exchange.is_whole and not response.will_close
        finally:
            response.close()
            if is_whole and not request.is_elsewhere:
                self._keep(door, connection)
            else:
                connection.close()

    def close(self) -> None:
        """End what is open."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None:
            idle[1].close()

    def _asked(
        self, door: Door, request: Request, cancel: Cancel
    ) -> tuple["_Connection", http.client.HTTPResponse]:
        idle = None if request.is_elsewhere else self._taken(door)
        if idle is not None:
            try:
                return idle, _head(idle, door, request, cancel)
            except Cut:  # it was closed while it was idle
                idle.close()
        cancel.check()
        silence_s = self._patience.silence_max_s
        if request.is_elsewhere:
            fresh = _elsewhere(door, request.path, silence_s)
        else:
            fresh = _connection(door.target, silence_s)
        try:
            return fresh, _head(fresh, door, request, cancel)
        except BaseException:
            fresh.close()
            raise

    def _taken(self, door: Door) -> "_Connection | None":
        """Return the idle connection when it is fresh enough, and to this door."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is None:
            return None
        known, connection, since_ns = idle
        if known == door and self._clock.monotonic_ns() - since_ns < IDLE_MAX_S * NS_PER_S:
            return connection
        connection.close()
        return None

    def _keep(self, door: Door, connection: "_Connection") -> None:
        with self._lock:
            idle, self._idle = self._idle, (door, connection, self._clock.monotonic_ns())
        if idle is not None:
            idle[1].close()


class _Connection(http.client.HTTPSConnection):
    """A connection whose TLS is up already."""

    def __init__(self, host: str, port: int, used: ssl.SSLSocket, context: ssl.SSLContext) -> None:
        super().__init__(host, port, context=context)
        self.sock = self.used = used


def _connection(target: Address, silence_s: float) -> _Connection:
    if target.hardware_key:
        raise BadInput(
            "the vehicle's key lies in a token or TPM, which the TLS of updates cannot use: enrol with a key"
            " in a file"
        )
    context = tls_context(target)
    connection = _connected(target.host, target.port, context, silence_s)
    try:
        context.check_server(connection.used.getpeercert())
    except FairwayError:
        connection.close()
        raise
    return connection


def _elsewhere(door: Door, url: str, silence_s: float) -> _Connection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError as error:
        raise Unavailable(f"the cloud names {url[:200]!r}, which is no address: {error}") from error
    door.target.guard.check_host(host)
    try:
        context = ssl.create_default_context(
            cafile=str(door.storage_ca) if door.storage_ca else None
        )
    except OSError as error:
        raise BadInput(f"no certificates in {door.storage_ca}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return _connected(host, port, context, silence_s)


def _connected(host: str, port: int, context: ssl.SSLContext, silence_s: float) -> _Connection:
    opened = None
    try:
        opened = socket.create_connection((host, port), timeout=CONNECT_MAX_S)
        used = context.wrap_socket(opened, server_hostname=host)
        used.settimeout(silence_s)
    except (OSError, ValueError) as error:  # a name that no certificate could have is a ValueError
        if opened is not None:
            opened.close()
        raise Cut(f"{host}:{port} cannot be reached: {_why(error)}") from error
    return _Connection(host, port, used, context)


def _head(
    connection: _Connection, door: Door, request: Request, cancel: Cancel
) -> http.client.HTTPResponse:
    """Send a request, and return its answer once the head has come."""
    if request.is_elsewhere:
        parts = urlsplit(request.path)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
    else:
        path = door.path + request.path
    watch = threading.Timer(HEAD_MAX_S, cancel.hang_up)
    watch.daemon = True
    try:
        with cancel.over(connection.used):
            watch.start()
            headers = {"User-Agent": USER_AGENT, **request.headers}
            connection.request(request.method, path or "/", request.body, headers)
            return connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Cut(f"{connection.host} did not answer: {_why(error)}") from error
    finally:
        watch.cancel()


def _answer(response: http.client.HTTPResponse) -> Answer:
    """Return what the head says."""
    first, total = None, None
    if found := _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "")):
        first = int(found["first"]) if found["first"] else None
        total = int(found["total"]) if found["total"] != "*" else None
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    return Answer(
        status=response.status,
        length=response.length,
        first=first,
        total=total,
        is_packed=packed not in ("", "identity"),
        location=response.headers.get("Location", "").strip(),
        retry_after_s=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(text: str) -> float | None:
    """Return what Retry-After says; a date needs a clock that is right, and is not looked at."""
    text = text.strip()
    return float(text[:9]) if text.isascii() and text.isdecimal() else None


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
