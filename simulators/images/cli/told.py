"""What the commands say of images, for people and for machines."""

import shlex

from ota.images.build import Built
from ota.images.inspect import Inspected

MIB = 1 << 20


def built_json(built: Built) -> dict[str, object]:
    """Return what was built, for machines."""
    return {
        "digest": built.digest,
        "name": built.name,
        "layers": built.layers,
        "packed_bytes": built.packed_bytes,
        "tar_bytes": built.tar_bytes,
    }


def built_text(built: Built) -> str:
    """Return what was built, for people."""
    name = f" {built.name}" if built.name else ""
    return f"{built.digest}{name} {built.layers} layers, {built.packed_bytes / MIB:.1f} MiB"


def image_json(image: Inspected) -> dict[str, object]:
    """Return what an image is, for machines."""
    config = image.config
    return {
        "digest": image.digest,
        "name": image.name,
        "platform": str(config.platform),
        "created": config.created,
        "entrypoint": list(config.entrypoint),
        "command": list(config.command),
        "environment": dict(config.environment),
        "workdir": config.folder,
        "user": config.user,
        "stop_signal": config.stop_signal,
        "labels": dict(config.labels),
        "layers": [
            {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "media_type": layer.media_type,
                "packed_bytes": layer.packed_bytes,
                "tar_bytes": layer.tar_bytes,
                "entries": layer.entries,
                "warnings": list(layer.warnings),
            }
            for layer in image.layers
        ],
    }


def image_text(image: Inspected) -> str:
    """Return what an image is, for people."""
    config = image.config
    lines = [
        f"image     {image.digest}",
        f"name      {image.name or '-'}",
        f"platform  {config.platform}",
        f"runs      {shlex.join(config.argv) or '-'}",
        f"in        {config.folder}",
        f"as        {config.user or '-'}",
        *(f"with      {name}={value}" for name, value in config.environment),
    ]
    for number, layer in enumerate(image.layers, 1):
        size = f"{layer.packed_bytes / MIB:.1f} MiB packed, {layer.tar_bytes / MIB:.1f} MiB"
        lines.append(f"layer {number:<3} {layer.digest}  {size}, {layer.entries} entries")
        lines += [f"          dropped on a vehicle: {warning}" for warning in layer.warnings]
    return "\n".join(lines)
