"""What can be rolled out, as the Image repository lists it now; and what vehicles said last.

Rule 1: what was read stays until the repository's timestamp is another: a million vehicles ask in vain.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from fairway.errors import BadInput
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.control.query import Value
from fleet_cloud.rollouts.model import Content, Kept
from fleet_cloud.rollouts.ports import ImageRepository
from fleet_cloud.vehicles.telemetry import TelemetryReader
from ota.custom import BUNDLE_MAX_BYTES, bundle_from_json
from ota.manifest import Image, Kind


@dataclass(frozen=True, slots=True)
class Listed:
    """The images of a tenant."""

    by_path: Mapping[str, Image]
    by_sha256: Mapping[str, Image]

    def of(self, kept: Kept) -> tuple[Image, ...] | None:
        """Return the images that were approved, None when one of them is listed no more."""
        found = []
        for path, sha256 in kept.content.images:
            image = self.by_path.get(path)
            if image is None or image.sha256 != sha256:
                return None
            found.append(image)
        return tuple(found)


class RepositoryImages:
    """Knows images and bundles."""

    def __init__(self, repository: ImageRepository, artifacts: Artifacts) -> None:
        self._repository, self._artifacts = repository, artifacts
        self._lock = threading.Lock()
        self._known: dict[str, tuple[bytes, Listed]] = {}

    def listed(self, tenant: str) -> Listed:
        """Return the images of a tenant.  Raises Unavailable."""
        mark = self._repository.file(tenant, "timestamp.json")
        with self._lock:
            known = self._known.get(tenant)
        if mark is not None and known is not None and known[0] == mark:
            return known[1]
        images = self._repository.images(tenant)
        found = Listed({one.path: one for one in images}, {one.sha256: one for one in images})
        if mark is not None:
            with self._lock:
                self._known[tenant] = (mark, found)
        return found

    def content(self, tenant: str, path: str) -> Content:
        listed = self.listed(tenant)
        target = listed.by_path.get(path)
        if target is None or target.kind is not Kind.BUNDLE:
            raise BadInput(
                f"{path[:120]!r} is no release of {tenant}: see fleet-cloud release list"
            )
        if target.length > BUNDLE_MAX_BYTES:
            raise BadInput(f"{path} has {target.length} bytes, which is no bundle")
        document = self._artifacts.read(f"sha256:{target.sha256}", 0, BUNDLE_MAX_BYTES)
        bundle = bundle_from_json(document, file=path)
        images = []
        for name in bundle.images:
            image = listed.by_path.get(name)
            if image is None:
                raise BadInput(f"{path} has the image {name}, which the repository does not list")
            images.append(image)
        return Content(
            bundle,
            target.sha256,
            tuple((image.path, image.sha256) for image in images),
            tuple(sorted({text for image in images for text in image.rxswin})),
        )


class StoredValues:
    """Knows what vehicles said last, from the telemetry store."""

    def __init__(self, telemetry: TelemetryReader) -> None:
        self._telemetry = telemetry

    def last(self, tenant: str, vehicle: str, since_ns: int) -> Mapping[str, Value]:
        return {
            one.signal: one.value
            for one in self._telemetry.latest(tenant, vehicle)
            if one.time_ns >= since_ns
        }
