"""A small S3 in the process: objects, ranges, multipart uploads; every request must be signed (SigV4)."""

import contextlib
import datetime as dt
import hashlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

KEY_ID, SECRET, REGION = "AKIATEST", "secret-of-tests", "eu-central-1"


@dataclass
class S3Server:
    """What is kept."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing: int = 0  # so many requests are answered 503

    is_https: bool = False

    @property
    def url(self) -> str:
        return (
            f"https://localhost:{self.port}" if self.is_https else f"http://127.0.0.1:{self.port}"
        )

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        self.requests.append(f"{handler.command} {handler.path}")
        if self.failing:
            self.failing -= 1
            return error(503, "SlowDown")
        problem = unsigned(handler, parts.path, query, body)
        if problem:
            return error(403, problem)
        return self.act(handler, unquote(parts.path)[1:], query, body)

    def act(
        self, handler: BaseHTTPRequestHandler, name: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        match handler.command:
            case "POST" if "uploads" in query:
                upload = hashlib.sha256(f"{name}{len(self.uploads)}".encode()).hexdigest()[:16]
                self.uploads[upload] = {}
                return 200, f"<X><UploadId>{upload}</UploadId></X>".encode(), {}
            case "POST":
                return self.complete(name, query["uploadId"], body)
            case "PUT":
                return self.take(name, query, body)
            case "DELETE" if "uploadId" in query:
                self.uploads.pop(query["uploadId"], None)
                return 204, b"", {}
            case "DELETE":
                self.objects.pop(name, None)
                return 204, b"", {}
            case _:
                return self.give(handler, name)

    def take(
        self, name: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if "uploadId" not in query:
            self.objects[name] = body
        elif query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        else:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
        return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}

    def complete(self, name: str, upload: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = self.uploads.pop(upload, None)
        if parts is None:
            return error(404, "NoSuchUpload")
        listed = [
            int(number.text or "0")
            for number in ET.fromstring(body).iter()
            if number.tag.endswith("PartNumber")
        ]
        if listed != sorted(parts):
            return error(400, "InvalidPart")
        self.objects[name] = b"".join(parts[number] for number in listed)
        return 200, b"<CompleteMultipartUploadResult/>", {}

    def give(self, handler: BaseHTTPRequestHandler, name: str) -> tuple[int, bytes, dict[str, str]]:
        data = self.objects.get(name)
        if data is None:
            return error(404, "NoSuchKey")
        asked = handler.headers.get("Range", "")
        if not asked:
            return 200, data, {"Accept-Ranges": "bytes"}
        first, _, last = asked.removeprefix("bytes=").partition("-")
        begin = int(first)
        if begin >= len(data):
            return error(416, "InvalidRange")
        end = min(int(last) if last else len(data) - 1, len(data) - 1)
        span = {"Content-Range": f"bytes {begin}-{end}/{len(data)}"}
        return 206, data[begin : end + 1], span


def error(status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
    return status, f"<Error><Code>{code}</Code></Error>".encode(), {}


def unsigned(handler: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes) -> str:
    """Return why a request is not let in, "" when its signature holds."""
    headers = {name.lower(): value.strip() for name, value in handler.headers.items()}
    if "X-Amz-Signature" in query:
        given = dict(query)
        signature, day = given.pop("X-Amz-Signature"), query["X-Amz-Date"]
        credential, names = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
        made = dt.datetime.strptime(day, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        if dt.datetime.now(dt.UTC) > made + dt.timedelta(seconds=int(query["X-Amz-Expires"])):
            return "AccessDenied"
        payload = "UNSIGNED-PAYLOAD"
    else:
        said = headers.get("authorization", "")
        if not said.startswith("AWS4-HMAC-SHA256 "):
            return "AccessDenied"
        fields = dict(part.strip().split("=", 1) for part in said[17:].split(","))
        credential, names = fields["Credential"], fields["SignedHeaders"]
        signature, day, given = fields["Signature"], headers["x-amz-date"], query
        payload = headers["x-amz-content-sha256"]
        if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
    key_id, date, region, service, _ = credential.split("/")
    if (key_id, region, service) != (KEY_ID, REGION, "s3"):
        return "InvalidAccessKeyId"
    canonical = "\n".join(
        [
            handler.command,
            path,
            "&".join(
                f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(given.items())
            ),
            *(f"{name}:{headers[name]}" for name in names.split(";")),
            "",
            names,
            payload,
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            day,
            f"{date}/{region}/{service}/aws4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    signing = f"AWS4{SECRET}".encode()
    for part in (date, region, service, "aws4_request", to_sign):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    return "" if hmac.compare_digest(signing.hex(), signature) else "SignatureDoesNotMatch"


@contextlib.contextmanager
def s3_server(tls: Any = None) -> Iterator[S3Server]:
    """Run an S3; with `tls`, a context, over HTTPS."""
    made = S3Server(is_https=tls is not None)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body, headers = made.answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - as the library calls them

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
