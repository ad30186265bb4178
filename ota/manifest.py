"""What a release is made of: images that ECUs install, and the bytes they are had as.

    a bundle (one release) > images (TUF targets) > sources (whole, packed, or as a difference) > blobs

Rule 1: everything is named by the SHA-256 of its content; a bundle is a list of names and holds no bytes.
Rule 2: an image is what the ECU is to hold in the end: whatever it was fetched as, that is what is verified.
Rule 3: a release counter only grows: an image with a lower one is refused, whoever signed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# A hash for each so many bytes: what a cut download has to fetch again, at most.
CHUNK_BYTES = 4 << 20


class Kind(StrEnum):
    """Which installer an image is for."""

    CONTAINER = "container"  # the image's bytes are an OCI manifest
    SLOT = "slot"  # a file system for the half of an A/B pair that does not run
    FIRMWARE = "uds_ecu"  # for an ECU behind a bus
    FILE = "file"  # a tar that replaces a folder
    BUNDLE = "bundle"  # no ECU installs it: the list of a release's images


class Form(StrEnum):
    """How the bytes of an image are packed."""

    PLAIN = "plain"
    ZSTD = "zstd"
    ZSTD_PATCH = "zstd-patch"  # against a base: needs as much memory as the base is long
    DETOOLS_SEQUENTIAL = "detools-sequential"  # against a base: in some megabytes
    DETOOLS_HDIFFPATCH = "detools-hdiffpatch"  # against a base: the smallest, in much memory


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to fetch."""

    sha256: str  # 64 hex digits
    length: int  # bytes
    chunk_bytes: int = 0  # 0: it is verified as a whole only
    chunks_sha256: str = (
        ""  # of the blob that is the SHA-256 of each chunk, 32 bytes each, in order
    )


@dataclass(frozen=True, slots=True)
class Source:
    """One way to have an image."""

    form: Form
    blob: Blob
    base_sha256: str = ""  # of the image it is a difference against
    memory_bytes: int = 0  # that applying it takes, about


@dataclass(frozen=True, slots=True)
class Requirement:
    """Another image that has to be there, or must not be: its name, and the release counters that are meant."""

    name: str
    counter_min: int = 0
    counter_max: int | None = None


@dataclass(frozen=True, slots=True)
class Install:
    """How an image is installed."""

    order: int = 0  # lower ones are activated first
    group: str = ""  # images of one group go or come back together; "" is a group, too
    conditions: tuple[
        str, ...
    ] = ()  # names of preconditions beside the vehicle's own: parked, ignition_off ...
    duration_max_s: int = 600  # after which it has failed
    user_text: Mapping[str, str] = field(
        default_factory=dict
    )  # by language (BCP 47): what the driver is told
    needs_consent: bool = False
    is_safety: bool = False  # a failure of it stops a rollout at once


@dataclass(frozen=True, slots=True)
class Image:
    """A target of the Image repository."""

    path: str  # the name of the target: "battery-health/1.4.0.json"
    length: int
    sha256: str
    kind: Kind
    name: str  # of what it is a version: "battery-health"
    version: str
    release_counter: int
    hardware_ids: tuple[str, ...]
    sources: tuple[Source, ...] = ()  # beside its own bytes, which are always a source
    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()
    install: Install = Install()
    rxswin: tuple[str, ...] = ()  # RXSWINs (UN R156) that it changes, as "R79 v3"
    service: Mapping[str, object] = field(
        default_factory=dict
    )  # kind container: the service's manifest
    address: int = 0  # kind uds_ecu: where in the ECU's memory its first byte lies


@dataclass(frozen=True, slots=True)
class Bundle:
    """One release: the document behind a target of kind bundle."""

    name: str
    version: str
    images: tuple[str, ...]  # paths of targets
    purpose: str = ""  # one sentence, for the records of UN R156
    sbom_sha256: tuple[str, ...] = ()  # blobs: CycloneDX documents
    provenance_sha256: tuple[str, ...] = ()  # blobs: in-toto statements (SLSA provenance)
    user_text: Mapping[str, str] = field(default_factory=dict)
