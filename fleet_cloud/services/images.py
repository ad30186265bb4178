"""Images that tenants push: an image is known when everything that its manifest names is there and right.

    artifacts (each verified by its digest as it came) + the manifest's digest > KeptImage

Rule 1: an image is never known in part: what is known, a vehicle can fetch to the end.
Rule 2: what is inside layers is looked at by whoever unpacks them.
"""

from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.oci import documents
from fairway.oci.model import Descriptor
from fleet_cloud.artifacts.ports import Artifacts, Holdings, artifact_digest
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.services.ports import Images, KeptImage

NAME_MAX_CHARACTERS = 256
PLATFORM_MAX_CHARACTERS = 64
INDEXES_DEEP_MAX = 3  # as vehicles follow them


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where images are, and what is known of them."""

    artifacts: Artifacts
    holdings: Holdings
    images: Images
    audit: Audit

    def register(
        self, tenant: str, digest: str, *, name: str, actor: str, now_ns: int
    ) -> KeptImage:
        """Know an image whose parts a tenant has brought.

        Raises BadInput when something is missing or is no image that can run, Unavailable.
        """
        if len(name) > NAME_MAX_CHARACTERS or not name.isprintable():
            raise BadInput(
                f"an image is called {name[:80]!r}: {NAME_MAX_CHARACTERS} characters at most"
            )
        sizes, platforms = self._walked(
            tenant, artifact_digest(digest), deep=INDEXES_DEEP_MAX, known={}
        )
        image = KeptImage(
            tenant,
            digest,
            tuple(part for part in sizes if part != digest),
            sum(sizes.values()),
            " ".join(platforms)[:PLATFORM_MAX_CHARACTERS],
            name,
            actor,
            now_ns,
        )
        details = {"name": name, "bytes": str(image.size_bytes)}
        self.audit.write(Act("image.push", actor, f"image:{digest}", tenant, details=details))
        self.images.add_image(image)
        return image

    def _walked(
        self, tenant: str, digest: str, *, deep: int, known: dict[str, int]
    ) -> tuple[dict[str, int], tuple[str, ...]]:
        """Return all that an image or an index of images needs, with sizes, and the platforms it is for.

        What is `known` was walked before: an index that names one thing a thousand times is walked once.
        """
        if digest in known:
            return {}, ()
        raw = self._document(tenant, digest, "the manifest")
        try:
            index = documents.index(raw)
        except BadInput:
            found = self._of_image(tenant, digest, raw)
            known |= found[0]
            return found
        if not deep or not index.manifests:
            raise BadInput(f"{digest} is an index that leads to no image")
        sizes, platforms = {digest: len(raw)}, tuple[str, ...]()
        for one in index.manifests:
            inner, of = self._walked(tenant, one.digest, deep=deep - 1, known=known)
            sizes |= inner
            platforms += of
        known |= sizes
        return sizes, platforms

    def _of_image(
        self, tenant: str, digest: str, raw: bytes
    ) -> tuple[dict[str, int], tuple[str, ...]]:
        manifest = documents.manifest(raw)
        parts = (manifest.config, *manifest.layers)
        for part in parts:
            self._check(tenant, part)
        config = documents.image_config(
            self._document(tenant, manifest.config.digest, "the configuration")
        )
        if len(config.diff_ids) != len(manifest.layers):
            raise BadInput(
                f"the image has {len(manifest.layers)} layers, and its configuration {len(config.diff_ids)}"
            )
        sizes = {digest: len(raw)} | {part.digest: part.size_bytes for part in parts}
        return sizes, (str(config.platform),)

    def _check(self, tenant: str, part: Descriptor) -> None:
        size = self.holdings.held(tenant, part.digest)
        if size is None or self.artifacts.size(part.digest) is None:
            raise BadInput(f"the image needs {part.digest}, which is not here: push it first")
        if size != part.size_bytes:
            raise BadInput(
                f"the image says that {part.digest} has {part.size_bytes} bytes: it has {size}"
            )

    def _document(self, tenant: str, digest: str, what: str) -> bytes:
        size = self.holdings.held(tenant, digest)
        if size is None:
            raise BadInput(f"{what} {digest} is not here: push it first")
        if size > documents.DOCUMENT_MAX_BYTES:
            raise BadInput(f"{what} has {size} bytes: that is none")
        return self.artifacts.read(digest, 0, size)
