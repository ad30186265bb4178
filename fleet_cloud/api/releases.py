"""/v1/releases: what may be rolled out, and the signed metadata that says so.

Rule 1: metadata goes in and out as it was signed; what a vehicle would refuse is not taken.
Rule 2: who publishes needs no rights over vehicles: what it publishes waits for a rollout and its approval.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from fairway.errors import BadInput, Denied, FairwayError
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts, NotFound, ReleasePorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.audit.acts import Act
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.rollouts.publishing import FILES_MAX
from ota.custom import BUNDLE_MAX_BYTES, bundle_from_json
from ota.manifest import Bundle, Image, Kind

Read = Annotated[Caller, needs(Permission.RELEASES_READ)]
Write = Annotated[Caller, needs(Permission.RELEASES_WRITE)]
FileName = Annotated[str, Path(description="As in 3.targets.json.", max_length=160)]
_PATH_MAX = 512


@dataclass(frozen=True, slots=True)
class FilesWish:
    """Metadata files by name, each in Base64."""

    files: Annotated[dict[str, str], Field(max_length=FILES_MAX)]


@dataclass(frozen=True, slots=True)
class PublishedView:
    """What was published."""

    files: list[str]


@dataclass(frozen=True, slots=True)
class ImageOfReleaseView:
    """An image that ECUs install."""

    path: str
    kind: str
    name: str
    version: str
    release_counter: int
    hardware_ids: list[str]
    sha256: str
    size_bytes: int
    forms: list[str]


@dataclass(frozen=True, slots=True)
class ImagesOfReleases:
    """Some images in order of path; `next` is the `after` of the next page, null on the last."""

    images: list[ImageOfReleaseView]
    next: str | None


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release: a bundle of images."""

    path: str
    sha256: str
    name: str
    version: str
    purpose: str
    images: list[str]


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """Some releases in order of path; `next` is the `after` of the next page, null on the last."""

    releases: list[ReleaseView]
    next: str | None


After = Annotated[str, Query(description="`next` of the page before.", max_length=_PATH_MAX)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


def router(ports: ApiPorts, releases: ReleasePorts) -> APIRouter:
    """Return the routes of releases."""
    routes = APIRouter(prefix="/v1/releases", tags=["releases"])
    repository = releases.repository

    @routes.get("", responses=responses(400, 401, 403, 429, 503))
    def list_releases(
        caller: Read, tenant: TenantName = "", after: After = "", limit: Limit = 100
    ) -> ReleasePage:
        """List the releases that may be rolled out."""
        of = _meant(caller, tenant)
        bundles = (image for image in repository.images(of) if image.kind is Kind.BUNDLE)
        page = [image for image in bundles if image.path > after][:limit]
        more = page[-1].path if len(page) == limit else None
        return ReleasePage([_release(releases, image) for image in page], more)

    @routes.get("/images", responses=responses(400, 401, 403, 429, 503))
    def list_images_of_releases(
        caller: Read, tenant: TenantName = "", after: After = "", limit: Limit = 100
    ) -> ImagesOfReleases:
        """List the images that releases are made of."""
        of = _meant(caller, tenant)
        page = [image for image in repository.images(of) if image.path > after][:limit]
        more = page[-1].path if len(page) == limit else None
        return ImagesOfReleases([_image(image) for image in page], more)

    @routes.get(
        "/repository/{file}",
        response_class=Response,
        responses={
            **responses(400, 401, 403, 404, 429, 503),
            200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        },
    )
    def metadata_file(caller: Read, file: FileName, tenant: TenantName = "") -> Response:
        """Return a metadata file as it was signed."""
        found = repository.file(_meant(caller, tenant), file)
        if found is None:
            raise NotFound(f"there is no {file} in the repository")
        return Response(found, media_type="application/json")

    @routes.post(
        "/repository", status_code=201, responses=responses(400, 401, 403, 409, 413, 429, 503)
    )
    def publish(caller: Write, wish: FilesWish, tenant: TenantName = "") -> PublishedView:
        """Publish metadata, once it is verified as a vehicle would verify it."""
        of = _meant(caller, tenant)
        files = {name: _bytes(name, text) for name, text in wish.files.items()}
        now_ns = ports.clock.now_ns()
        actor = caller.principal.actor
        details = {"files": str(len(files))}
        ports.audit.write(Act("release.publish", actor, f"repository:{of}", of, details=details))
        repository.publish(of, files, now_ns)
        return PublishedView(sorted(files))

    return routes


def _meant(caller: Caller, tenant: str) -> str:
    of = tenant_meant(caller, tenant)
    if not may(caller.principal, caller.permission, of):
        raise Denied(f"releases need {caller.permission} over {of}, and you hold less")
    return of


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{name[:120]!r} is not in Base64: {error}") from error


def _release(releases: ReleasePorts, image: Image) -> ReleaseView:
    bundle = bundle_of(releases, image)
    images = list(bundle.images) if bundle else []
    purpose = bundle.purpose if bundle else ""
    return ReleaseView(image.path, image.sha256, image.name, image.version, purpose, images)


def bundle_of(releases: ReleasePorts, image: Image) -> Bundle | None:
    """Return the document of a release, None when it cannot be read."""
    if image.length > BUNDLE_MAX_BYTES:
        return None
    try:
        data = releases.artifacts.read(f"sha256:{image.sha256}", 0, BUNDLE_MAX_BYTES)
        return bundle_from_json(data, file=image.path)
    except FairwayError:
        return None


def _image(image: Image) -> ImageOfReleaseView:
    return ImageOfReleaseView(
        path=image.path,
        kind=image.kind.value,
        name=image.name,
        version=image.version,
        release_counter=image.release_counter,
        hardware_ids=list(image.hardware_ids),
        sha256=image.sha256,
        size_bytes=image.length,
        forms=sorted({"plain", *(source.form.value for source in image.sources)}),
    )
