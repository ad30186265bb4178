"""A place that is a bucket: s3://BUCKET/PREFIX[?region=...&endpoint=...].

    PREFIX/metadata/NAME    PREFIX/sha256/AB/ABCD...   (as a fleet-cloud keeps its artifacts in a bucket)

Rule 1: the SHA-256 of bytes goes with them: the service compares it, and a cut upload is not there.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fairway.errors import BadInput, Denied, Unavailable
from ota.manifest import Blob
from ota.release.places.order import in_order

# Beyond this the service wants several parts; each of them is compared, too.
PART_BYTES = 64 << 20
_KNOWN = {"region", "endpoint"}
_GONE, _DENIED = {"404", "NoSuchKey", "NotFound"}, {"403", "AccessDenied", "InvalidAccessKeyId"}


class S3Place:
    """A bucket."""

    def __init__(self, url: str, part_bytes: int = PART_BYTES) -> None:
        """Open it.  Raises BadInput for a URL that is none, or without the library."""
        try:
            import boto3  # noqa: PLC0415 - loaded by those who have a bucket
            import botocore.exceptions as failures  # noqa: PLC0415
            from boto3.s3.transfer import TransferConfig  # noqa: PLC0415
        except ImportError as error:
            raise BadInput(
                "buckets need a library that is not here: pip install 'fairway[release]'"
            ) from error
        parts = urlsplit(url)
        said = parse_qs(parts.query)
        if not parts.netloc or set(said) - _KNOWN:
            raise BadInput(f"{url!r:.120} is no bucket: write s3://BUCKET/PREFIX?region=...")
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._failures: Any = failures
        self._part_bytes = part_bytes
        self._how = TransferConfig(multipart_threshold=part_bytes, multipart_chunksize=part_bytes)
        self._client: Any = boto3.client(
            "s3",
            region_name=said.get("region", [None])[0],
            endpoint_url=said.get("endpoint", [None])[0],
        )

    def holds(self, blob: Blob) -> bool:
        head = self._call("head_object", Key=self._blob_key(blob))
        return head is not None and head["ContentLength"] == blob.length

    def send(self, blob: Blob, path: Path) -> None:
        key = self._blob_key(blob)
        if blob.length <= self._part_bytes:
            digest = base64.b64encode(bytes.fromhex(blob.sha256)).decode()
            self._put(key, path.read_bytes(), ChecksumSHA256=digest)
            return
        extra = {"ChecksumAlgorithm": "SHA256"}
        try:
            self._client.upload_file(
                str(path), self._bucket, key, ExtraArgs=extra, Config=self._how
            )
        except (self._failures.BotoCoreError, self._failures.ClientError) as error:
            raise self._ours(error) from error
        except Exception as error:
            raise Unavailable(f"{blob.sha256} was not sent: {error}") from error

    def file(self, name: str) -> bytes | None:
        found = self._call("get_object", Key=self._key("metadata", name))
        return None if found is None else bytes(found["Body"].read())

    def publish(self, files: Mapping[str, bytes]) -> None:
        for name, data in in_order(files):
            # What has a number in its name never changes; the others are asked for anew each time.
            kept = "max-age=31536000, immutable" if name[:1].isdigit() else "no-cache"
            key = self._key("metadata", name)
            self._put(key, data, ContentType="application/json", CacheControl=kept)

    def _blob_key(self, blob: Blob) -> str:
        return self._key(f"sha256/{blob.sha256[:2]}", blob.sha256)

    def _key(self, kind: str, name: str) -> str:
        return "/".join(part for part in (self._prefix, kind, name) if part)

    def _put(self, key: str, data: bytes, **more: str) -> None:
        if self._call("put_object", Key=key, Body=data, **more) is None:
            raise BadInput(f"there is no bucket {self._bucket}")

    def _call(self, name: str, **asked: Any) -> Any:
        try:
            return getattr(self._client, name)(Bucket=self._bucket, **asked)
        except self._failures.ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in _GONE:
                return None
            raise self._ours(error) from error
        except self._failures.BotoCoreError as error:
            raise self._ours(error) from error

    def _ours(self, error: Any) -> Denied | Unavailable:
        said = getattr(error, "response", {}).get("Error", {})
        if str(said.get("Code")) in _DENIED:
            return Denied(f"bucket {self._bucket} may not be used: {said.get('Message') or error}")
        return Unavailable(f"bucket {self._bucket}: {error}")
