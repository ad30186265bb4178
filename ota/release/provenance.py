"""How a release was built: an in-toto Statement v1 with SLSA provenance v1, and who vouches for it.

    inputs, images --statement()--> JSON (the same for the same build) --enveloped()--> DSSE, signed

Rule 1: the statement has no time and no path of a machine: the same sources give the same bytes.
Rule 2: who signs the envelope is a key of the role that lists the release: no second set of keys to lose.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import Key, Signer

from fairway.errors import BadInput, Tampered
from ota.canonical import canonical, parsed_object
from ota.manifest import Image

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUILD_TYPE = "urn:fairway:ota-release:build:v1"
DOCUMENT_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Material:
    """Something that went into a build."""

    name: str  # as the release file names it
    sha256: str


@dataclass(frozen=True, slots=True)
class Build:
    """What is said of a build beside its images."""

    name: str
    version: str
    builder: str  # a URI of what built it
    parameters: Mapping[str, str] = field(default_factory=dict)  # repository, commit, run ...
    materials: tuple[Material, ...] = ()
    sbom_sha256: str = ""
    tool: str = ""  # name and version of this program


def statement(build: Build, images: Iterable[Image]) -> bytes:
    """Return what is said of a build, always the same bytes for the same build.  Raises BadInput."""
    definition: dict[str, Any] = {
        "buildType": BUILD_TYPE,
        "externalParameters": {"name": build.name, "version": build.version, **build.parameters},
        "resolvedDependencies": [
            {"name": one.name, "digest": {"sha256": one.sha256}} for one in build.materials
        ],
    }
    details: dict[str, Any] = {
        "builder": {"id": build.builder, "version": {"ota-release": build.tool}}
    }
    if build.sbom_sha256:
        details["byproducts"] = [{"name": "sbom.cdx.json", "digest": {"sha256": build.sbom_sha256}}]
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": one.path, "digest": {"sha256": one.sha256}} for one in images],
            "predicateType": PREDICATE_TYPE,
            "predicate": {"buildDefinition": definition, "runDetails": details},
        }
    )


def enveloped(said: bytes, signer: Signer) -> bytes:
    """Return a statement in an envelope that `signer` signed."""
    envelope = Envelope(said, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode()


def vouched(document: bytes, keys: Iterable[Key]) -> bytes:
    """Return the statement in an envelope that one of `keys` signed.  Raises BadInput, Tampered."""
    table = parsed_object(document, "the envelope of a build", most_bytes=DOCUMENT_MAX_BYTES)
    try:
        envelope = Envelope.from_dict(table)
    except (KeyError, ValueError, TypeError, AttributeError, FormatError) as error:
        raise BadInput(f"the envelope of a build is none: {error!r:.120}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadInput(f"the envelope of a build holds {envelope.payload_type!r:.80}")
    try:
        envelope.verify(list(keys), 1)
    except (VerificationError, ValueError) as error:
        raise Tampered("the build is vouched for by no key of the role that lists it") from error
    return bytes(envelope.payload)


def compared(said: bytes, images: Iterable[Image]) -> None:
    """Raise Tampered when a statement is about other bytes than those of `images`, BadInput for none."""
    table = parsed_object(said, "the statement of a build", most_bytes=DOCUMENT_MAX_BYTES)
    if table.get("_type") != STATEMENT_TYPE or table.get("predicateType") != PREDICATE_TYPE:
        raise BadInput(
            "the statement of a build is no in-toto Statement v1 with SLSA provenance v1"
        )
    built = _subjects(table.get("subject"))
    for image in images:
        if built.get(image.path) != image.sha256:
            raise Tampered(
                f"{image.path} is not what was built: the build gave {built.get(image.path, 'nothing')},"
                f" and {image.sha256} is listed"
            )


def _subjects(said: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in said if isinstance(said, list) else []:
        digest = one.get("digest") if isinstance(one, dict) else None
        if isinstance(digest, dict) and isinstance(one.get("name"), str):
            found[one["name"]] = str(digest.get("sha256"))
    return found
