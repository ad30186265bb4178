"""A release goes out: bytes first, each once, then the metadata that makes them count.

    release folder --publish()--> place: blobs and files that are not there yet, the timestamp last

Rule 1: what would be refused by a vehicle is not sent; what awaits signatures stops here.
Rule 2: broken off and begun again, it sends what is still missing and nothing twice.
Rule 3: who publishes does not go back: a newer timestamp at the place is a Conflict.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fairway.errors import BadInput, Conflict
from fairway.oci import documents, model
from ota.custom import own_blob
from ota.manifest import Blob, Image, Kind
from ota.release import attesting, ceremony, online, vehicle
from ota.release.folder import Folder, metadata_from
from ota.release.listing import Listed
from ota.release.ports import Place
from ota.release.verifying import Verified, verified

Progress = Callable[[str], None]
_TIMESTAMP = "timestamp.json"


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent."""

    blobs: int
    bytes: int
    blobs_there: int  # that were there already
    files: tuple[str, ...]


def publish(folder: Folder, place: Place, now_ns: int, progress: Progress) -> Sent:
    """Publish what is complete.

    Raises BadInput when something awaits signatures or bytes are not here, Tampered for what a vehicle would
    refuse, Conflict when the place is ahead, Unavailable (publish again: it goes on), Denied.
    """
    waits = ceremony.waiting(folder)
    if waits:
        raise BadInput(waits[0].sentence)
    seen = checked(folder, now_ns)
    _is_ahead(folder, place)
    blobs = blobs_of(folder, seen.images.values())
    sent = _send(folder, place, blobs, progress)
    missing = _missing(folder, place, seen)
    if missing:
        progress(f"metadata: {len(missing)} files")
        place.publish(missing)
    return Sent(*sent, files=tuple(missing))


def send_bytes(folder: Folder, place: Place, images: Iterable[Listed], progress: Progress) -> Sent:
    """Send the bytes of images that may still await signatures: named by hashes they count for nothing yet."""
    return Sent(*_send(folder, place, blobs_of(folder, images), progress), files=())


def checked(folder: Folder, now_ns: int) -> Verified:
    """Verify the folder as a vehicle would, from its first root on.  Raises BadInput, Tampered."""
    files = folder.files()
    root = files.get("1.root.json")
    if root is None:
        raise BadInput(
            "there is no root yet: `ota-release inspect` says whose signatures it awaits"
        )
    if _TIMESTAMP not in files:
        raise BadInput("nothing says yet which versions count: `ota-release timestamp`")
    seen = verified(files.get, root, now_ns)
    vehicle.taken(files.get, root, (one.image for one in seen.images.values()), now_ns)
    for role in seen.versions:
        latest = folder.latest(role)
        if latest is not None and latest.signed.version != seen.versions[role]:
            raise BadInput(
                f"{role} {latest.signed.version} does not count yet: `ota-release timestamp`"
            )
    return seen


def blobs_of(folder: Folder, images: Iterable[Listed]) -> dict[str, Blob]:
    """Return all bytes that images need, by hash.  Raises BadInput, Tampered."""
    found: dict[str, Blob] = {}
    for one in images:
        for blob in _blobs(folder, one):
            found.setdefault(blob.sha256, blob)
            if blob.chunks_sha256:
                chunks = -(-blob.length // blob.chunk_bytes)
                found.setdefault(blob.chunks_sha256, Blob(blob.chunks_sha256, 32 * chunks))
    return found


def container_blobs(manifest: bytes) -> Iterator[Blob]:
    """Yield what the manifest of a container names.  Raises BadInput."""
    said = documents.manifest(manifest)
    for part in (said.config, *said.layers):
        yield Blob(model.hex_of(part.digest), part.size_bytes)


def _blobs(folder: Folder, one: Listed) -> Iterator[Blob]:
    image = one.image
    yield own_blob(image)
    yield from (source.blob for source in image.sources)
    if image.kind is Kind.CONTAINER:
        yield from container_blobs(folder.need_blob(Blob(image.sha256, image.length)).read_bytes())
    if image.kind is Kind.BUNDLE:
        bundle = attesting.bundle_of(folder, image)
        for sha256 in (*bundle.sbom_sha256, *bundle.provenance_sha256, *one.attestations):
            yield _document(folder, sha256)


def _document(folder: Folder, sha256: str) -> Blob:
    return Blob(sha256, len(folder.need_document(sha256)))


def _send(
    folder: Folder, place: Place, blobs: dict[str, Blob], progress: Progress
) -> tuple[int, int, int]:
    sent = length = 0
    for number, blob in enumerate(blobs.values(), 1):
        if place.holds(blob):
            continue
        progress(f"{number} of {len(blobs)}: {blob.sha256[:12]}, {blob.length} bytes")
        place.send(blob, folder.need_blob(blob))
        sent, length = sent + 1, length + blob.length
    return sent, length, len(blobs) - sent


def _missing(folder: Folder, place: Place, seen: Verified) -> dict[str, bytes]:
    """Return the files that count and are not there; what was there once with a version never changes."""
    ours = folder.files()
    if place.file(_TIMESTAMP) == ours[_TIMESTAMP]:
        return {}
    there = _there(place)
    wanted = [f"{version}.{role}.json" for role, version in seen.versions.items()]
    wanted += [f"{version}.root.json" for version in folder.versions("root")]
    missing = {name: ours[name] for name in wanted if name in ours and name not in there}
    roots = [name for name in missing if name.endswith(".root.json")]
    for name in roots:
        if place.file(name) == ours[name]:
            del missing[name]
    return missing | {_TIMESTAMP: ours[_TIMESTAMP]}


def _there(place: Place) -> set[str]:
    """Return the names that the snapshot at a place pins."""
    stamp = place.file(_TIMESTAMP)
    if stamp is None:
        return set()
    pinned = metadata_from(stamp, _TIMESTAMP).signed.snapshot_meta.version
    name = f"{pinned}.snapshot.json"
    snapshot = place.file(name)
    if snapshot is None:
        return set()
    meta = metadata_from(snapshot, name).signed.meta
    return {name, *(f"{one.version}.{role}" for role, one in meta.items())}


def _is_ahead(folder: Folder, place: Place) -> None:
    there = place.file(_TIMESTAMP)
    if there is None:
        return
    version = metadata_from(there, _TIMESTAMP).signed.version
    ours = folder.need("timestamp").signed.version
    if version > ours or online.is_overtaken(folder, place):
        has = "another" if version == ours else str(ours)
        raise Conflict(
            f"timestamp {version} is published, and this folder has {has}: take the newer state"
            " with `ota-release timestamp --place`, which signs the next one"
        )


def image_bytes(image: Image) -> int:
    """Return how many bytes are fetched without any difference."""
    return min([image.length, *(one.blob.length for one in image.sources if not one.base_sha256)])
