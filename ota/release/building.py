"""A release file becomes a release: images, a bill of materials, a statement of its build, a bundle.

    release file + folder --build()--> Outcome; signatures come later (ceremony.py)

Rule 1: the same files and the same folder give the same bytes, whoever builds and whenever.
Rule 2: a component that is built again with the same bytes keeps its release counter.
Rule 3: nothing is listed before everything is built: a build that fails leaves the drafts as they were.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from fairway.errors import BadInput
from ota.custom import bundle_to_json
from ota.manifest import Bundle, Image, Kind
from ota.release import components, listing, provenance, sbom
from ota.release.folder import Folder
from ota.release.listing import Listed
from ota.release.provenance import Build, Material
from ota.release.release_file import Component, Release, read

LOCAL_BUILDER = "urn:fairway:ota-release:local"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Builder:
    """Who builds, as provenance says it."""

    id: str = LOCAL_BUILDER
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A release that was built."""

    bundle: Image
    images: tuple[Image, ...]
    sbom_sha256: str
    statement_sha256: str
    drafts: tuple[str, ...]  # roles that await signatures now; none when nothing changed
    packages: int


def build(folder: Folder, file: Path, builder: Builder, now_ns: int, progress: Progress) -> Outcome:
    """Build a release.  Raises BadInput, Tampered, Conflict for a version that is published, Unavailable."""
    release, data = read(file)
    known = listing.listed(folder)
    prefix = listing.prefix_of(folder, release.role)
    built = [
        components.build(
            folder, one, prefix=prefix, counter=_counter(known, one, prefix), progress=progress
        )
        for one in release.components
    ]
    for one in built:
        _check_service(one.contents.image, known)
    built = [_settled(one, known) for one in built]
    images = tuple(one.contents.image for one in built)
    bill = folder.put_document(
        sbom.document(release.name, release.version, [one.contents for one in built])
    )
    materials = (
        Material(file.name, hashlib.sha256(data).hexdigest()),
        *(one.material for one in built),
    )
    said = Build(
        name=release.name,
        version=release.version,
        builder=builder.id,
        parameters=builder.parameters,
        materials=materials,
        sbom_sha256=bill.sha256,
        tool=version("fairway"),
    )
    statement = folder.put_document(provenance.statement(said, images))
    bundle = _bundle(folder, release, images, (bill.sha256, statement.sha256), known, prefix)
    listing.checked_counters(known, (*images, bundle))
    drafts = listing.put(folder, release.role, (*images, bundle), now_ns)
    return Outcome(
        bundle=bundle,
        images=images,
        sbom_sha256=bill.sha256,
        statement_sha256=statement.sha256,
        drafts=drafts,
        packages=sum(len(one.contents.packages) + len(one.contents.given) for one in built),
    )


def _counter(known: Mapping[str, Listed], component: Component, prefix: str) -> int:
    """Return what is said, what the same version has already, or the next one."""
    if component.release_counter is not None:
        return component.release_counter
    for one in known.values():
        image = one.image
        if (image.name, image.version) == (
            component.name,
            component.version,
        ) and image.path.startswith(prefix):
            return image.release_counter
    return listing.next_counter(known.values(), component.name)


def _check_service(image: Image, known: Mapping[str, Listed]) -> None:
    """Raise BadInput where only a service's manifest has changed: vehicles know versions by their bytes."""
    for one in known.values():
        there = one.image
        if (there.kind, there.name, there.sha256) != (Kind.CONTAINER, image.name, image.sha256):
            continue
        if _but_version(there) != _but_version(image):
            raise BadInput(
                f"{image.path} has the image of {there.path} and another service manifest: a vehicle that holds"
                " the one would not take the other; build another image, a label is enough"
            )


def _but_version(image: Image) -> dict[str, object]:
    return {key: value for key, value in image.service.items() if key != "version"}


def _settled(built: components.Built, known: Mapping[str, Listed]) -> components.Built:
    """Differences that were made for the same bytes before are kept."""
    image = built.contents.image
    there = known.get(image.path)
    if there is None or there.image.sha256 != image.sha256:
        return built
    more = tuple(one for one in there.image.sources if one.base_sha256)
    kept = replace(image, sources=(*image.sources, *more))
    return replace(built, contents=replace(built.contents, image=kept))


def _bundle(
    folder: Folder,
    release: Release,
    images: tuple[Image, ...],
    documents: tuple[str, str],
    known: Mapping[str, Listed],
    prefix: str,
) -> Image:
    bill, statement = documents
    blob = folder.put_document(
        bundle_to_json(
            Bundle(
                name=release.name,
                version=release.version,
                images=tuple(image.path for image in images),
                purpose=release.purpose,
                sbom_sha256=(bill,),
                provenance_sha256=(statement,),
                user_text=release.user_text,
            )
        )
    )
    path = (
        "/".join(part for part in (prefix, release.name, release.version) if part) + ".bundle.json"
    )
    there = known.get(path)
    counter = (
        there.image.release_counter if there else listing.next_counter(known.values(), release.name)
    )
    return Image(
        path=path,
        length=blob.length,
        sha256=blob.sha256,
        kind=Kind.BUNDLE,
        name=release.name,
        version=release.version,
        release_counter=counter,
        hardware_ids=(),
        rxswin=tuple(sorted({one for image in images for one in image.rxswin})),
    )
