"""Stand-ins over HTTP on loopback: as much of S3, and of a fleet-cloud's API, as publishing needs."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "an-api-key"


class _Server(ThreadingHTTPServer):
    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.kept: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.asked: list[str] = []
        self.fails_after: int | None = None  # bytes that are taken before the line is cut


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_args: object) -> None:
        pass

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked" or "aws-chunked" in self.headers.get(
            "Content-Encoding", ""
        ):
            return _unchunked(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", str(len(data))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Bucket(_Handler):
    @property
    def where(self) -> str:
        return unquote(urlsplit(self.path).path.partition("/")[2])

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.where}")
        data = self.server.kept.get(self.where)
        if data is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        self.answer(200, data)

    def do_PUT(self) -> None:
        data, asked = self.body(), parse_qs(urlsplit(self.path).query)
        said = self.headers.get("x-amz-checksum-sha256")
        if said and base64.b64decode(said) != hashlib.sha256(data).digest():
            self.answer(400, b"<Error><Code>BadDigest</Code></Error>")
            return
        if "uploadId" in asked:
            self.server.parts[asked["uploadId"][0]][int(asked["partNumber"][0])] = data
        else:
            self.server.asked.append(f"PUT {self.where}")
            self.server.kept[self.where] = data
        self.answer(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def do_POST(self) -> None:
        self.body()
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in asked:
            name = f"upload-{len(self.server.parts)}"
            self.server.parts[name] = {}
            said = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            self.answer(200, said.encode())
            return
        parts = self.server.parts[asked["uploadId"][0]]
        self.server.kept[self.where] = b"".join(parts[number] for number in sorted(parts))
        self.server.asked.append(f"PUT {self.where}")
        self.answer(200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")


class _Cloud(_Handler):
    def is_known(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {KEY}":
            return True
        self.body()
        self.problem(401, "this key is not known")
        return False

    def problem(self, status: int, detail: str) -> None:
        self.answer(status, json.dumps({"status": status, "detail": detail}).encode())

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        if not self.is_known():
            return
        data = self.server.kept.get(self.path)
        if data is None:
            self.problem(404, "there is none")
        elif self.path.startswith("/v1/artifacts/"):
            digest = self.path.rpartition("/")[2]
            self.answer(200, json.dumps({"digest": digest, "size_bytes": len(data)}).encode())
        else:
            self.answer(200, data)

    def do_PUT(self) -> None:
        if not self.is_known():
            return
        if self.server.fails_after is not None:
            self.rfile.read(min(self.server.fails_after, int(self.headers["Content-Length"])))
            self.close_connection = True
            return
        data = self.body()
        if self.path.rpartition(":")[2] != hashlib.sha256(data).hexdigest():
            self.problem(400, "these are other bytes")
            return
        self.server.asked.append(f"PUT {self.path}")
        self.server.kept[self.path] = data
        self.answer(201, b"{}")

    def do_POST(self) -> None:
        if not self.is_known():
            return
        files = json.loads(self.body())["files"]
        self.server.asked.append(f"POST {self.path}")
        for name, text in files.items():
            self.server.kept[f"{self.path}/{name}"] = base64.b64decode(text)
        self.answer(204)


def _unchunked(data: bytes) -> bytes:
    found = b""
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(re.split(rb";", head)[0] or b"0", 16)
        if not size:
            break
        found, data = found + data[:size], data[size + 2 :]
    return found


@contextmanager
def served(kind: str) -> Iterator[tuple[str, _Server]]:
    """Serve a bucket or a cloud; yield its address."""
    server = _Server({"bucket": _Bucket, "cloud": _Cloud}[kind])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
