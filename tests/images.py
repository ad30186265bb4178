"""Images of tests, made by hand: layers with whatever in them, and layouts that may lie."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from fairway.oci.model import digest_of

HERE = {"os": "linux", "architecture": "amd64"}
LAYER = "application/vnd.oci.image.layer.v1.tar"


def member(
    name: str, kind: bytes = tarfile.REGTYPE, **said: object
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a layer; `content` is its content, all else as in TarInfo."""
    content = said.pop("content", b"")
    assert isinstance(content, bytes)
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in said.items():
        setattr(info, key, value)
    return info, content


def file(name: str, content: bytes = b"", **said: object) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, tarfile.REGTYPE, **{"content": content, **said})


def folder(name: str, **said: object) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, tarfile.DIRTYPE, **said)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, tarfile.LNKTYPE, linkname=target)


def layer(*members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    """Return the tar of a layer, as Python's own library writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def packed(tar: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(tar, compresslevel=1, mtime=0)
    return zstandard.compress(tar) if how == "zstd" else tar


@dataclass(slots=True)
class Made:
    """An image in a layout; what a test changes is written as it then is."""

    layers: list[bytes]
    how: str = "gzip"
    config: dict[str, object] = field(default_factory=dict)
    platform: dict[str, str] = field(default_factory=lambda: dict(HERE))
    name: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        blobs = [packed(one, self.how) for one in self.layers]
        self.blobs = {digest_of(blob): blob for blob in blobs}
        config = json.dumps(
            {
                **self.platform,
                "config": {"Entrypoint": ["/bin/sh"], **self.config},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in self.layers]},
            }
        ).encode()
        self.blobs[digest_of(config)] = config
        kind = LAYER + (f"+{self.how}" if self.how else "")
        self.manifest = {
            "schemaVersion": 2,
            "config": described(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [described(blob, kind) for blob in blobs],
        }

    @property
    def digest(self) -> str:
        return digest_of(json.dumps(self.manifest).encode())


def described(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def layout(path: Path, *images: Made) -> Path:
    """Write images as an OCI layout in a folder."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    listed = []
    for image in images:
        manifest = json.dumps(image.manifest).encode()
        for digest, data in {**image.blobs, digest_of(manifest): manifest}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        entry = described(manifest, "application/vnd.oci.image.manifest.v1+json")
        if image.name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": image.name}
        listed.append(entry)
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return path


def as_tar(folder_: Path, to: Path) -> Path:
    """Write a layout as one tar."""
    with tarfile.open(to, "w") as archive:
        archive.add(folder_, arcname=".")
    return to
