"""Bytes and builds are proved: what a repository lists is there, and somebody vouches for how it was built.

    Verified + folder --proved()--> Proof; the first thing that does not hold is an error

Rule 1: each way to have an image is gone: packed forms and differences are applied, and the result is compared.
Rule 2: a bundle's build is vouched for by a key of the role that lists it, and is about these very bytes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput, Tampered
from ota.custom import bundle_from_json, own_blob
from ota.delta.apply import NEEDS_BASE, Work, applied
from ota.manifest import Blob, Form, Image, Kind, Source
from ota.release import attesting, provenance
from ota.release.folder import Folder
from ota.release.listing import Listed
from ota.release.ports import Shelf
from ota.release.publishing import blobs_of
from ota.release.roles import keys_of
from ota.release.verifying import Verified

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved."""

    images: int
    bundles: int
    blobs: int
    bytes: int
    applied: int  # packed forms and differences


def proved(folder: Folder, seen: Verified, progress: Progress) -> Proof:
    """Prove all that is listed.  Raises Tampered, or BadInput for bytes that are not here."""
    blobs = blobs_of(folder, seen.images.values())
    for number, blob in enumerate(blobs.values(), 1):
        progress(f"{number} of {len(blobs)}: {blob.sha256[:12]}, {blob.length} bytes")
        path = folder.need_blob(blob)
        if blob.chunks_sha256:
            _chunks(path, blob, folder.need_document(blob.chunks_sha256))
    by_hash = {one.image.sha256: one.image for one in seen.images.values()}
    count = bundles = 0
    for one in seen.images.values():
        for source in one.image.sources:
            if source.form is not Form.PLAIN:
                progress(f"{one.image.path}: {source.form}")
                _gives(folder, one.image, source, by_hash)
                count += 1
        if one.image.kind is Kind.BUNDLE:
            build(folder.need_document, one, seen)
            bundles += 1
    total = sum(blob.length for blob in blobs.values())
    return Proof(len(seen.images), bundles, len(blobs), total, count)


def build(document: Callable[[str], bytes], one: Listed, seen: Verified) -> None:
    """Prove who vouches for a bundle's build, and for what (rule 2).  Raises Tampered, BadInput."""
    path = one.image.path
    bundle = bundle_from_json(document(one.image.sha256), file=path)
    keys = keys_of(seen.delegators[one.role], one.role)[0].values()
    if not one.attestations:
        raise Tampered(f"nobody vouches for the build of {path}")
    said = {provenance.vouched(document(sha256), keys) for sha256 in one.attestations}
    if {hashlib.sha256(each).hexdigest() for each in said} != set(bundle.provenance_sha256):
        raise Tampered(f"{path} names another build than the one that is vouched for")
    for each in said:
        provenance.compared(each, attesting.images_of(bundle, seen.images))


def held(folder: Folder, shelf: Shelf, seen: Verified, progress: Progress) -> int:
    """Ask a place for all bytes that are listed; return how many.  Raises BadInput for the first missing."""
    blobs = blobs_of(folder, seen.images.values())
    for number, blob in enumerate(blobs.values(), 1):
        progress(f"{number} of {len(blobs)}: {blob.sha256[:12]}")
        if not shelf.holds(blob):
            raise BadInput(
                f"the bytes of {blob.sha256} are not published: `ota-release publish` goes on"
            )
    return len(blobs)


def _chunks(path: Path, blob: Blob, listed: bytes) -> None:
    found = bytearray()
    with path.open("rb") as file:
        while data := file.read(blob.chunk_bytes):
            found += hashlib.sha256(data).digest()
    if bytes(found) != listed:
        raise Tampered(f"the list of chunks of {blob.sha256} is about other bytes")


def _gives(folder: Folder, image: Image, source: Source, by_hash: dict[str, Image]) -> None:
    base = None
    if source.form in NEEDS_BASE:
        old = by_hash.get(source.base_sha256)
        if old is None or not folder.blob_path(old.sha256).exists():
            return  # the base was revoked: who still holds it may go on from it, and verifies the result
        base = folder.need_blob(own_blob(old))
    with folder.scratch() as scratch:
        fetched = folder.need_blob(source.blob)
        work = Work(source.form, fetched, image.sha256, image.length, base)
        applied(work, Path(scratch) / "image")
