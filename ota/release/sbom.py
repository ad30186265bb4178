"""The bill of materials of a release: CycloneDX 1.6, with what was given and what was found in the images.

Rule 1: the same images give the same bytes: its serial number is made of its content, and it has no time.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.errors import BadInput
from ota.canonical import parsed_object
from ota.manifest import Image, Kind
from ota.release.packages import Package

GIVEN_MAX_BYTES = 32 << 20
_TYPES = {
    Kind.CONTAINER: "container",
    Kind.SLOT: "operating-system",
    Kind.FIRMWARE: "firmware",
    Kind.FILE: "file",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known to be in an image."""

    image: Image
    packages: tuple[Package, ...] = ()
    given: tuple[dict[str, Any], ...] = ()  # components of a document that came with it


def document(name: str, version: str, contents: Sequence[Contents]) -> bytes:
    """Return the bill of materials of a release."""
    components: list[dict[str, Any]] = []
    depends: list[dict[str, Any]] = []
    for one in contents:
        image = one.image
        inner = [_package(image.path, package) for package in one.packages]
        inner += [_given(image.path, number, said) for number, said in enumerate(one.given)]
        components.append(_image(image))
        components += inner
        depends.append({"ref": image.path, "dependsOn": sorted(each["bom-ref"] for each in inner)})
    top = f"{name}@{version}"
    depends.append({"ref": top, "dependsOn": sorted(one.image.path for one in contents)})
    said = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "firmware", "bom-ref": top, "name": name, "version": version}
        },
        "components": components,
        "dependencies": sorted(depends, key=lambda one: str(one["ref"])),
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, _written(said).decode())
    return _written(said | {"serialNumber": f"urn:uuid:{number}"})


def given(path: Path) -> tuple[dict[str, Any], ...]:
    """Return the components of a CycloneDX document in JSON.  Raises BadInput."""
    try:
        said = parsed_object(path.read_bytes(), str(path), most_bytes=GIVEN_MAX_BYTES)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if said.get("bomFormat") != "CycloneDX":
        raise BadInput(f"{path} is no CycloneDX document in JSON")
    components = said.get("components", [])
    if not isinstance(components, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in components
    ):
        raise BadInput(f"{path} has components without names")
    return tuple(components)


def _image(image: Image) -> dict[str, Any]:
    return {
        "type": _TYPES[image.kind],
        "bom-ref": image.path,
        "name": image.name,
        "version": image.version,
        "hashes": [{"alg": "SHA-256", "content": image.sha256}],
    }


def _package(path: str, package: Package) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"{path}#{package.purl}",
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }


def _given(path: str, number: int, said: dict[str, Any]) -> dict[str, Any]:
    """References are made ours: two documents may use the same ones."""
    return {"type": "library", **said, "bom-ref": f"{path}#given-{number}"}


def _written(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
