"""A real HTTPS server that does what servers should not: cuts, lies, dawdles, counts what it sent."""

import contextlib
import itertools
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.certificates import Identity


@dataclass
class Call:
    """A request, and what may be done with it."""

    number: int  # from 0, of all requests for this path
    path: str
    headers: dict[str, str]
    body: bytes
    has_certificate: bool
    handler: BaseHTTPRequestHandler
    server: "FaultServer"

    @property
    def first(self) -> int:
        """The first byte that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found.group(1)) if found else 0

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer."""
        self.head(status, **{"Content_Length": str(len(body)), **headers})
        self.write(body)

    def head(self, status: int, **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        """Send bytes of a body, and count them."""
        for at in range(0, len(data), 16384):
            piece = data[at : at + 16384]
            self.handler.wfile.write(piece)
            self.server.sent_bytes += len(piece)

    def part(self, data: bytes, *, most: int | None = None, total: int | None = None) -> None:
        """Answer as a good server would, but hang up after `most` bytes."""
        rest = data[self.first :]
        headers = {"Content_Length": str(len(rest))}
        if "range" in self.headers:
            of = len(data) if total is None else total
            headers["Content_Range"] = f"bytes {self.first}-{len(data) - 1}/{of}"
            self.head(206, **headers)
        else:
            self.head(200, **headers)
        self.write(rest if most is None else rest[:most])
        if most is not None:
            self.hang_up()

    def dribble(self, data: bytes, every_s: float, gone: threading.Event) -> None:
        """Send one byte at a time."""
        with contextlib.suppress(OSError):
            for byte in data:
                self.write(bytes([byte]))
                self.handler.wfile.flush()
                if gone.wait(every_s):
                    return

    def hang_up(self) -> None:
        """End the connection."""
        self.handler.close_connection = True
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(2)


@dataclass
class FaultServer:
    """What was asked, and what to do."""

    act: Callable[[Call], None]
    port: int = 0
    sent_bytes: int = 0
    calls: list[Call] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        number = next(self.counts.setdefault(handler.path, itertools.count()))
        length = int(handler.headers.get("Content-Length", "0"))
        connection: Any = handler.connection
        call = Call(
            number,
            handler.path,
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(length),
            bool(connection.getpeercert()),
            handler,
            self,
        )
        self.calls.append(call)
        with contextlib.suppress(OSError):
            self.act(call)


@contextlib.contextmanager
def fault_server(identity: Identity, ca: Any, act: Callable[[Call], None]) -> Iterator[FaultServer]:
    """Run a server that does `act` with each request."""
    made = FaultServer(act)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()

        def do_GET(self) -> None:
            made.take(self)

        do_PUT = do_POST = do_GET  # noqa: N815 - as the library calls them

        def log_message(self, *args: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            connection.settimeout(30)
            return context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            ), address

        def handle_error(self, *args: Any) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
