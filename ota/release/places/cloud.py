"""A place that is a fleet-cloud: its API of artifacts and of the release repository, in the name of an API key.

    GET, PUT /v1/artifacts/sha256:...    GET /v1/releases/repository/NAME    POST /v1/releases/repository

Rule 1: a file is sent from the disk as it is read; what the cloud answers decides whether it may be sent again.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from fairway.errors import BadInput, Conflict, Denied, FairwayError, Tampered, Unavailable
from ota.manifest import Blob

# An answer comes at once; sending a large file over a slow line may pause for a while in between.
_PAUSE_MAX_S = 120.0
_ANSWER_MAX_BYTES = 64 << 20
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Access:
    """In whose name a cloud is asked."""

    key: str  # an API key or a token
    tenant: str = ""  # "": that of the key
    authority: Path | None = None  # certificates to trust instead of the system's


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class CloudPlace:
    """A fleet-cloud."""

    def __init__(self, url: str, access: Access) -> None:
        """Take its address.  Raises BadInput for none, or for one that would show the key to the network."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise BadInput(
                f"{url!r:.120} is no address of a fleet-cloud: write https://HOST[:PORT]"
            )
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise BadInput(f"{url!r:.120} would show the key to the network: write https://")
        self._host, self._port = parts.hostname, parts.port
        self._base, self._access = parts.path.rstrip("/"), access
        self._tls = None if parts.scheme == "http" else _tls(access.authority)

    def holds(self, blob: Blob) -> bool:
        answer = self._ask("GET", f"/v1/artifacts/sha256:{blob.sha256}")
        if answer.status == 404:
            return False
        said = _json(self._good(answer))
        return isinstance(said, dict) and said.get("size_bytes", blob.length) == blob.length

    def send(self, blob: Blob, path: Path) -> None:
        with path.open("rb") as file:
            to = f"/v1/artifacts/sha256:{blob.sha256}"
            self._good(self._ask("PUT", to, file, "application/octet-stream", blob.length))

    def file(self, name: str) -> bytes | None:
        answer = self._ask("GET", f"/v1/releases/repository/{quote(name)}")
        return None if answer.status == 404 else self._good(answer)

    def publish(self, files: Mapping[str, bytes]) -> None:
        said = {"files": {name: base64.b64encode(data).decode() for name, data in files.items()}}
        body = json.dumps(said).encode()
        to = "/v1/releases/repository"
        self._good(self._ask("POST", to, body, "application/json", len(body)))

    def _ask(
        self, method: str, path: str, body: bytes | IO[bytes] = b"", kind: str = "", length: int = 0
    ) -> _Answer:
        where = f"{self._base}{path}"
        if self._access.tenant:
            where += f"?tenant={quote(self._access.tenant)}"
        shown = {"Authorization": f"Bearer {self._access.key}", "Accept": "application/json"}
        if kind:
            shown |= {"Content-Type": kind, "Content-Length": str(length)}
        line = self._line()
        try:
            line.request(method, where, body or None, shown)
            answer = line.getresponse()
            return _Answer(answer.status, answer.read(_ANSWER_MAX_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self._host} does not answer: {error}; publish again, it goes on where it was"
            ) from error
        finally:
            line.close()

    def _line(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_PAUSE_MAX_S)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_PAUSE_MAX_S, context=self._tls
        )

    def _good(self, answer: _Answer) -> bytes:
        if answer.status < 300:
            return answer.body
        raise _ours(answer, self._host)


def _ours(answer: _Answer, host: str) -> FairwayError:
    """Return the error that an answer means: a problem document says it in one sentence."""
    said = _json(answer.body)
    detail = said.get("detail") if isinstance(said, dict) else None
    sentence = f"{host}: {detail or f'answered {answer.status}'}"
    if answer.status in {401, 403}:
        return Denied(sentence)
    if answer.status == 409:
        return Conflict(sentence)
    if answer.status == 422:
        return Tampered(sentence)
    if answer.status in {408, 425, 429} or answer.status >= 500:
        return Unavailable(sentence)
    return BadInput(sentence)


def _json(body: bytes) -> object:
    try:
        said: object = json.loads(body)
    except ValueError:
        return None
    return said


def _tls(authority: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{authority} holds no certificates: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
