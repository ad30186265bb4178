"""What an image is, and whether a vehicle would take it: all is verified, nothing is written."""

from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.oci import entries, model, tar
from fairway.oci.model import Descriptor, ImageConfig, Platform
from fairway.oci.packed import Limits, Unpacked
from ota.images.build import image_of
from ota.images.layer import Progress
from ota.images.source import Source


@dataclass(frozen=True, slots=True)
class LayerSeen:
    """A layer as it was read."""

    digest: str
    diff_id: str
    media_type: str
    packed_bytes: int
    tar_bytes: int
    entries: int
    warnings: tuple[str, ...]  # what a vehicle would drop


@dataclass(frozen=True, slots=True)
class Inspected:
    """An image as it was read."""

    digest: str
    name: str
    config: ImageConfig
    layers: tuple[LayerSeen, ...]


def inspected(
    source: Source, entry: Descriptor, here: Platform, limits: Limits, progress: Progress
) -> Inspected:
    """Read one image of a source.  Raises BadInput when a vehicle would refuse it, Tampered."""
    image = image_of(source, entry, here)
    layers: list[LayerSeen] = []
    for blob, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True):
        progress(f"layer {len(layers) + 1} of {len(image.manifest.layers)}")
        layers.append(_layer(source, blob, diff_id, limits))
    return Inspected(image.digest, entry.name, image.config, tuple(layers))


def _layer(source: Source, blob: Descriptor, diff_id: str, limits: Limits) -> LayerSeen:
    warnings: list[str] = []
    count = 0
    with source.blob(blob.digest) as part:
        packed = Unpacked(part.read, model.Compression.NONE, limits)
        plain = Unpacked(packed.read, model.LAYERS[blob.media_type], limits)
        for entry in tar.Reader(plain.read):
            count += 1
            if count > limits.entries_max:
                raise BadInput(f"a layer has more than {limits.entries_max} entries")
            step = entries.understood(entry)
            warnings += [step.warning] if step.warning else []
        plain.rest()
        while packed.read(
            1 << 20
        ):  # what a compression leaves unread belongs to the blob all the same
            pass
    model.same_digest(packed.digest, blob.digest)
    model.same_digest(plain.digest, diff_id)
    return LayerSeen(
        blob.digest,
        diff_id,
        blob.media_type,
        packed.count,
        plain.count,
        count,
        tuple(warnings),
    )
