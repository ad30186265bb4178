"""An image is known when everything that it needs is there, and of the tenant that pushed it."""

from dataclasses import replace

import pytest

from fairway.errors import BadInput
from fairway.oci.model import INDEX, Descriptor, Index, Platform, digest_of
from fairway.oci.written import index_bytes
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.services.images import Shelf
from fleet_cloud.services.ports import KeptImage
from tests.small_image import SmallImage, index_of, small_image

IMAGE = small_image(b"one", b"two")


class Yard:
    """A shelf, and what is put on it."""

    def __init__(self) -> None:
        self.artifacts, self.audit = MemoryArtifacts(), MemoryAudit()
        registry = memory_registry()
        self.shelf = Shelf(self.artifacts, registry.holdings, registry.images, self.audit)

    def put(self, blobs: dict[str, bytes], tenant: str = "acme") -> None:
        for digest, data in blobs.items():
            receiving = self.artifacts.receive(digest)
            receiving.write(data)
            self.shelf.holdings.hold(tenant, digest, receiving.finish(), 1)

    def register(self, digest: str = IMAGE.digest, tenant: str = "acme") -> KeptImage:
        return self.shelf.register(tenant, digest, name="watch:1", actor="user:ann", now_ns=7)


def test_an_image_with_all_its_parts_is_known():
    yard = Yard()
    yard.put(IMAGE.blobs)

    image = yard.register()

    assert {image.digest, *image.parts} == set(IMAGE.blobs)
    assert image.size_bytes == sum(map(len, IMAGE.blobs.values()))
    assert image.platform.startswith("linux/")
    assert yard.shelf.images.image("acme", IMAGE.digest) == image
    (act,) = yard.audit.acts
    assert (act.action, act.object) == ("image.push", f"image:{IMAGE.digest}")


@pytest.mark.parametrize("missing", sorted(IMAGE.blobs))
def test_an_image_that_lacks_a_part_is_not_known(missing: str):
    yard = Yard()
    yard.put({digest: data for digest, data in IMAGE.blobs.items() if digest != missing})

    with pytest.raises(BadInput, match=f"{missing}.* not here"):
        yard.register()
    assert yard.shelf.images.images() == []
    assert yard.audit.acts == []


def test_what_another_tenant_brought_does_not_count():
    yard = Yard()
    yard.put(IMAGE.blobs, "other")

    with pytest.raises(BadInput, match="push it first"):
        yard.register()


def test_an_index_needs_all_its_images():
    yard = Yard()
    other = small_image(b"for another", of=Platform("linux", "s390x"))
    digest, data = index_of([IMAGE, SmallImage(other.blobs, other.digest, other.layers)])
    yard.put(IMAGE.blobs | {digest: data})
    with pytest.raises(BadInput, match="not here"):
        yard.register(digest)
    yard.put(other.blobs)

    image = yard.register(digest)

    assert {digest, *image.parts} == {digest, *IMAGE.blobs, *other.blobs}
    assert "linux/s390x" in image.platform


def test_an_index_that_names_one_thing_a_thousand_times_is_walked_once():
    class Counting(MemoryArtifacts):
        reads = 0

        def read(self, digest: str, offset: int, most_bytes: int) -> bytes:
            self.reads += 1
            return super().read(digest, offset, most_bytes)

    yard = Yard()
    counting = yard.artifacts = Counting()
    yard.shelf = replace(yard.shelf, artifacts=counting)
    entry, blobs = IMAGE.entry, dict(IMAGE.blobs)
    for _ in range(3):
        data = index_bytes(Index((entry,) * 1000))
        entry = Descriptor(INDEX, digest_of(data), len(data))
        blobs[entry.digest] = data
    yard.put(blobs)

    assert {entry.digest, *yard.register(entry.digest).parts} == set(blobs)
    assert counting.reads == len(blobs) - len(IMAGE.layers)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"a layer", b'{"schemaVersion": 2}'])
def test_what_is_no_manifest_is_no_image(data: bytes):
    yard = Yard()
    yard.put({digest_of(data): data})

    with pytest.raises(BadInput):
        yard.register(digest_of(data))
