"""The JSON documents of images, written: the same nouns are always the same bytes."""

import json
from typing import Any

from fairway.oci import model
from fairway.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def index_bytes(index: Index) -> bytes:
    """Write an index."""
    said: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": model.INDEX,
        "manifests": [_descriptor(one) for one in index.manifests],
    }
    if index.annotations:
        said["annotations"] = dict(index.annotations)
    return json_bytes(said)


def manifest_bytes(manifest: Manifest) -> bytes:
    """Write a manifest."""
    said: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": model.MANIFEST,
        "config": _descriptor(manifest.config),
        "layers": [_descriptor(layer) for layer in manifest.layers],
    }
    if manifest.annotations:
        said["annotations"] = dict(manifest.annotations)
    return json_bytes(said)


def image_config_bytes(config: ImageConfig) -> bytes:
    """Write an image configuration; what is empty is left out."""
    run = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "Env": [f"{name}={value}" for name, value in config.environment],
        "WorkingDir": config.folder,
        "User": config.user,
        "StopSignal": config.stop_signal,
        "Labels": dict(config.labels),
    }
    said = {
        "created": config.created,
        **_platform(config.platform),
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": list(config.diff_ids)},
        "history": [
            {"created": config.created, "created_by": step}
            if config.created
            else {"created_by": step}
            for step in config.history
        ],
    }
    return json_bytes({key: value for key, value in said.items() if value})


def json_bytes(said: object) -> bytes:
    """Write JSON as it is compared: sorted, without spaces."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _platform(platform: Platform) -> dict[str, str]:
    said = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return {key: value for key, value in said.items() if value}


def _descriptor(descriptor: Descriptor) -> dict[str, Any]:
    said: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size_bytes,
    }
    if descriptor.platform is not None:
        said["platform"] = _platform(descriptor.platform)
    if descriptor.annotations:
        said["annotations"] = dict(descriptor.annotations)
    return said
