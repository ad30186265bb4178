"""Artifacts in a bucket of S3, or of anything that speaks like it: one object for each, called by its digest.

    s3://bucket/prefix  >  prefix/sha256/ab/abcd...     whole and right

Rule 1: an object appears when all of its bytes have been sent and have that digest, and not before: parts of
a multipart upload are nobody's until it is completed, and one that is wrong is aborted.
Rule 2: vehicles fetch from the bucket itself, or from CloudFront before it, by addresses that are good for a
while; this process passes no bytes on.
"""

import base64
import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Tampered, Unavailable
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES, artifact_digest

# Of 10,000 at most: 16 GiB are 1,024 of them; as much is in memory for each upload that runs.
PART_BYTES = 16 << 20
_GONE = {"404", "NoSuchKey", "NotFound"}
_BEYOND = {"416", "InvalidRange"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where artifacts lie."""

    name: str
    prefix: str = ""  # without a slash at its end

    def key(self, digest: str) -> str:
        """Return what the object of an artifact is called."""
        name = digest.removeprefix("sha256:")
        return "/".join(part for part in (self.prefix, "sha256", name[:2], name) if part)


def bucket_of(url: str) -> Bucket:
    """Read s3://bucket/prefix.  Raises BadInput."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise BadInput(f"{url!r} is no bucket: write s3://BUCKET or s3://BUCKET/PREFIX")
    return Bucket(parts.netloc, parts.path.strip("/"))


def s3_client(endpoint: str = "", **more: Any) -> Any:
    """Return a client with the credentials that AWS's own tools would find.  Raises BadInput."""
    settings = ClientConfig(
        signature_version="s3v4",
        retries={"max_attempts": 5, "mode": "standard"},
        connect_timeout=5,
        read_timeout=30,
        # Bytes are named by their hash: they need no checksum beside it, which not every server knows.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        return boto3.client("s3", endpoint_url=endpoint or None, config=settings, **more)
    except (BotoCoreError, ValueError) as error:
        raise BadInput(f"S3 cannot be used: {error}") from error


class S3Artifacts:
    """Keeps artifacts in a bucket."""

    def __init__(self, bucket: Bucket, client: Any, *, part_bytes: int = PART_BYTES) -> None:
        self._bucket, self._client, self._part_bytes = bucket, client, part_bytes

    def receive(self, digest: str, most_bytes: int = ARTIFACT_MAX_BYTES) -> "_Object":
        key = self._bucket.key(artifact_digest(digest))
        return _Object(digest, self._client, self._bucket.name, key, (most_bytes, self._part_bytes))

    def size(self, digest: str) -> int | None:
        key = self._bucket.key(artifact_digest(digest))
        with _ours(f"cannot look at {digest}"):
            try:
                return int(
                    self._client.head_object(Bucket=self._bucket.name, Key=key)["ContentLength"]
                )
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                raise

    def read(self, digest: str, offset: int, most_bytes: int) -> bytes:
        key = self._bucket.key(artifact_digest(digest))
        if most_bytes <= 0:
            return b""
        span = f"bytes={offset}-{offset + most_bytes - 1}"
        with _ours(f"cannot read {digest}"):
            try:
                found = self._client.get_object(Bucket=self._bucket.name, Key=key, Range=span)
                data: bytes = found["Body"].read()
            except ClientError as error:
                if _code(error) in _BEYOND:
                    return b""
                if _code(error) in _GONE:
                    raise BadInput(f"{digest} is not kept here") from error
                raise
        return data

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error.  Raises BadInput, Unavailable."""
        key = self._bucket.key(artifact_digest(digest))
        with _ours(f"cannot remove {digest}"):
            self._client.delete_object(Bucket=self._bucket.name, Key=key)


class _Object:
    """One artifact that is being written."""

    def __init__(
        self, digest: str, client: Any, bucket: str, key: str, sizes: tuple[int, int]
    ) -> None:
        self._digest, self._client = digest, client
        self._most_bytes, self._part_bytes = sizes
        self._where = {"Bucket": bucket, "Key": key}
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._waiting = bytearray()
        self._upload = ""  # of several parts
        self._parts: list[dict[str, Any]] = []
        self._is_over = False

    def write(self, data: bytes) -> None:
        if self._bytes + len(data) > self._most_bytes:
            raise BadInput(f"{self._digest} has more than {self._most_bytes} bytes")
        self._hash.update(data)
        self._bytes += len(data)
        self._waiting += data
        while len(self._waiting) >= self._part_bytes:
            self._send_part(bytes(self._waiting[: self._part_bytes]))
            del self._waiting[: self._part_bytes]

    def finish(self) -> int:
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            self.abandon()
            raise Tampered(f"what was sent as {self._digest} is {found}")
        try:
            self._complete()
        except BaseException:
            self.abandon()
            raise
        self._is_over = True
        return self._bytes

    def abandon(self) -> None:
        if self._upload and not self._is_over:
            # What is left behind all the same goes with the bucket's own rule for unfinished uploads.
            with contextlib.suppress(Unavailable), self._acting():
                self._client.abort_multipart_upload(**self._where, UploadId=self._upload)
        self._is_over = True
        self._waiting.clear()

    def _complete(self) -> None:
        with self._acting():
            if not self._upload:
                checksum = base64.b64encode(self._hash.digest()).decode()
                self._client.put_object(
                    **self._where, Body=bytes(self._waiting), ChecksumSHA256=checksum
                )
                return
            if self._waiting:
                self._send_part(bytes(self._waiting))
            self._client.complete_multipart_upload(
                **self._where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )

    def _send_part(self, data: bytes) -> None:
        with self._acting():
            if not self._upload:
                self._upload = self._client.create_multipart_upload(**self._where)["UploadId"]
            number = len(self._parts) + 1
            sent = self._client.upload_part(
                **self._where, UploadId=self._upload, PartNumber=number, Body=data
            )
            self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _acting(self) -> contextlib.AbstractContextManager[None]:
        return _ours(f"cannot keep {self._digest}")


class S3Places:
    """Addresses of the bucket, signed with the cloud's own credentials."""

    def __init__(self, bucket: Bucket, client: Any, life_s: int) -> None:
        self._bucket, self._client, self._life_s = bucket, client, life_s

    def url(self, digest: str) -> str | None:
        where = {"Bucket": self._bucket.name, "Key": self._bucket.key(artifact_digest(digest))}
        with _ours(f"no address for {digest}"):
            found = self._client.generate_presigned_url("get_object", where, ExpiresIn=self._life_s)
        return str(found)


class CloudFrontPlaces:
    """Addresses of a CloudFront distribution before the bucket, signed with a key of its key group."""

    def __init__(
        self, bucket: Bucket, base: str, signer: CloudFrontSigner, clock: Clock, life_s: int
    ) -> None:
        self._bucket, self._base = bucket, base.rstrip("/")
        self._signer, self._clock, self._life_s = signer, clock, life_s

    def url(self, digest: str) -> str | None:
        until_s = self._clock.now_ns() // NS_PER_S + self._life_s
        until = dt.datetime.fromtimestamp(until_s, dt.UTC)
        key = self._bucket.key(artifact_digest(digest))
        return str(self._signer.generate_presigned_url(f"{self._base}/{key}", date_less_than=until))


def cloudfront_signer(key_id: str, key: Path) -> CloudFrontSigner:
    """Return what signs for CloudFront.  Raises BadInput."""
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"cannot read CloudFront's key in {key}: {error}") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise BadInput(f"{key} is no RSA key: CloudFront's signed URLs want one of 2048 bits")
    return CloudFrontSigner(key_id, _signing(private))


def _signing(private: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    # SHA-1 is what CloudFront checks.
    return lambda message: private.sign(message, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


@contextlib.contextmanager
def _ours(what: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, OSError) as error:
        raise Unavailable(f"{what}: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
