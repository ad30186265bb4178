"""A service's own socket: how it does, what it offers to others; and a question to what others offer it.

    GET /live   200 while the service turns       GET /ready   200 when it has what it needs, else 503
    GET /...    what the service offers, as JSON

Rule 1: whoever reaches the socket may ask: the agent links it to those services only that both manifests name.
Rule 2: answers are made beforehand by the service's own thread; a question never waits for its thinking.
"""

import http.client
import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ASK_TIMEOUT_S = 2.0
ANSWER_MAX_BYTES = 65_536

Answers = Mapping[str, Callable[[], tuple[int, Any]]]


class Front(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers at a socket, in a thread of its own."""

    daemon_threads = True

    def __init__(self, path: Path, answers: Answers) -> None:
        path.unlink(missing_ok=True)  # of an instance that was killed
        self.answers = answers
        super().__init__(str(path), _Handler)
        # Its folder keeps others out; those that the agent links it to come as users of their own.
        path.chmod(0o666)

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = ASK_TIMEOUT_S
    server: Front

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path)
        status, body = answer() if answer else (404, {"error": f"there is no {self.path:.80}"})
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by its base class
        """Say nothing: probes come every few seconds."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ASK_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ASK_TIMEOUT_S)
        self.sock.connect(str(self._path))


def ask(sockets: Path, offer: str, question: str) -> Any:
    """Ask a service that offers `offer`; None when it is not there now, or says no."""
    folder = sockets / "uses" / offer
    try:
        token = (folder / "token").read_text("ascii").strip()
        connection = _Connection(folder / "sock")
        try:
            connection.request("GET", question, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read(ANSWER_MAX_BYTES)
        finally:
            connection.close()
        return json.loads(body) if answer.status == http.client.OK else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
