"""As much of AWS KMS as signing needs, over HTTP on loopback: keys, aliases, public keys, signatures.

Unlike the mock that others use, a DIGEST is signed as it is and not hashed once more.
"""

import base64
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

RAW_MAX_BYTES = 4096


class _Refused(Exception):
    pass


class _Kms:
    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.aliases: dict[str, str] = {}

    def do(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "CreateKey":
                assert (asked["KeySpec"], asked["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
                name = str(uuid.uuid4())
                self.keys[name] = ec.generate_private_key(ec.SECP256R1())
                return {"KeyMetadata": {"KeyId": name}}
            case "CreateAlias":
                if asked["AliasName"] in self.aliases:
                    raise _Refused("AlreadyExistsException")
                self.aliases[asked["AliasName"]] = asked["TargetKeyId"]
                return {}
            case "ScheduleKeyDeletion":
                del self.keys[asked["KeyId"]]
                return {}
            case "GetPublicKey":
                public = self._key(asked).public_key()
                der = public.public_bytes(
                    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
                )
                return {"KeyId": asked["KeyId"], "PublicKey": base64.b64encode(der).decode()}
            case "Sign":
                return {"Signature": base64.b64encode(self._signed(asked)).decode()}
        raise _Refused("UnsupportedOperationException")

    def _key(self, asked: dict[str, Any]) -> ec.EllipticCurvePrivateKey:
        name = self.aliases.get(asked["KeyId"], asked["KeyId"])
        if name not in self.keys:
            raise _Refused("NotFoundException")
        return self.keys[name]

    def _signed(self, asked: dict[str, Any]) -> bytes:
        message = base64.b64decode(asked["Message"])
        if asked["MessageType"] == "DIGEST":
            return self._key(asked).sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        if len(message) > RAW_MAX_BYTES:
            raise _Refused("ValidationException")
        return self._key(asked).sign(message, ec.ECDSA(hashes.SHA256()))


@contextmanager
def kms_server() -> Iterator[Callable[[str], str]]:
    """Run it, and yield what names a key in it."""
    kms = _Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            try:
                code = 200
                answer = kms.do(self.headers["X-Amz-Target"].rpartition(".")[2], asked)
            except _Refused as refused:
                code, answer = 400, {"__type": str(refused), "message": str(refused)}
            body = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    os.environ |= dict.fromkeys(known, "testing")
    where = quote(f"http://127.0.0.1:{server.server_address[1]}", safe="")
    try:
        yield lambda key: f"awskms:key={key}?region=eu-central-1&endpoint={where}"
    finally:
        server.shutdown()
        server.server_close()
        for name, value in known.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
