"""Images in the words of the OCI image specification 1.1.

    Index > Manifest > ImageConfig and layers, each named by a Descriptor: media type, digest, size

Rule 1: a digest is sha256 and names bytes; what is read by one is compared with it before it is believed.
Rule 2: Docker's version 2 schema 2 says the same with other media types; both are read, ours are written.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from fairway.errors import BadInput, Tampered

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({INDEX, DOCKER_INDEX})
CONFIGS = frozenset({CONFIG, DOCKER_CONFIG})

# The annotations by which an entry of a layout's index has a name; docker has the whole name in its own.
REF_NAME = "org.opencontainers.image.ref.name"
_DOCKER_NAME = "io.containerd.image.name"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Compression(StrEnum):
    """How the tar of a layer is packed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


LAYERS: dict[str, Compression] = {
    LAYER: Compression.NONE,
    LAYER + "+gzip": Compression.GZIP,
    LAYER + "+zstd": Compression.ZSTD,
    DOCKER_LAYER: Compression.NONE,
    DOCKER_LAYER + ".gzip": Compression.GZIP,
    DOCKER_LAYER + ".zstd": Compression.ZSTD,
}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, in Go's words: linux, amd64."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Names a blob."""

    media_type: str
    digest: str
    size_bytes: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What a layout calls it; "" without a name."""
        said = dict(self.annotations)
        return said.get(_DOCKER_NAME) or said.get(REF_NAME, "")


@dataclass(frozen=True, slots=True)
class Index:
    """Several images: of several platforms, or of a layout."""

    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: how it is run, and its layers, the lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How an image is run, and what its layers are once they are unpacked."""

    platform: Platform = field(default_factory=Platform)
    diff_ids: tuple[str, ...] = ()  # of the layers' plain tars, the lowest first
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    folder: str = "/"
    user: str = ""
    stop_signal: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    created: str = ""  # RFC 3339
    history: tuple[str, ...] = ()  # what made each layer

    @property
    def argv(self) -> tuple[str, ...]:
        """What is run."""
        return self.entrypoint + self.command


def digest_of(data: bytes) -> str:
    """Return the digest that names `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def checked_digest(text: object) -> str:
    """Return `text` if it is a digest of ours.  Raises BadInput."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise BadInput(f"{str(text)[:80]!r} is no digest: sha256: and 64 hex digits is one")
    return text


def hex_of(digest: str) -> str:
    """Return the hex digits of a checked digest."""
    return digest.removeprefix("sha256:")


def verified(descriptor: Descriptor, data: bytes) -> bytes:
    """Return `data` if it is what `descriptor` names.  Raises Tampered."""
    if len(data) != descriptor.size_bytes:
        raise Tampered(
            f"{descriptor.digest} must have {descriptor.size_bytes} bytes, and has"
            f" {'more' if len(data) > descriptor.size_bytes else len(data)}"
        )
    found = digest_of(data)
    if found != descriptor.digest:
        raise Tampered(f"what is called {descriptor.digest} is {found}")
    return data


def same_digest(found: str, said: str) -> None:
    """Raise Tampered unless a digest is the one that was said."""
    if found != said:
        raise Tampered(f"what is called {said} is {found}")
