"""Writes sbom.cdx.json (CycloneDX 1.6): what Fairway is made of, as the lock files say, and nothing else.

Rule 1: the same lock files give the same bytes: no time, no host, a serial number made of the content.
Rule 2: what runs is `required`, what only some installations add (a TPM, compiled tools) `optional`, tools for
developers and tests `excluded`; why each is there is the graph of dependencies.
"""

import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "sbom.cdx.json"
LOCK = ROOT / "requirements.lock"
ADDED_LOCKS = (ROOT / "requirements-tpm.lock", ROOT / "requirements-delta.lock")
OURS = (
    "fairway (pyproject.toml)"  # how uv calls what needs a package; a group follows behind a colon
)

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? *\\?")
_HASH = re.compile(r" +--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r" +#(?: via)? +(\S.*)")


@dataclass
class Pin:
    """One package of a lock file."""

    name: str
    version: str
    marker: str
    hashes: list[str] = field(default_factory=list)
    via: list[str] = field(default_factory=list)  # who needs it

    @property
    def ref(self) -> str:
        """How the graph calls it."""
        return f"{self.name}@{self.version}"


def pins(lock: Path) -> Iterator[Pin]:
    """Yield the packages of a lock file."""
    pin: Pin | None = None
    for line in lock.read_text().splitlines():
        if found := _PIN.fullmatch(line):
            if pin is not None:
                yield pin
            pin = Pin(found[1], found[2], found[3] or "")
        elif pin is not None and (found := _HASH.match(line)):
            pin.hashes.append(found[1])
        elif pin is not None and (found := _VIA.fullmatch(line)):
            pin.via.append(found[1])
    if pin is not None:
        yield pin


def running(all_pins: list[Pin]) -> set[str]:
    """Return the names of packages that run: what Fairway needs itself, and what that needs."""
    names = {pin.name for pin in all_pins if OURS in pin.via}
    while more := {pin.name for pin in all_pins if names & set(pin.via)} - names:
        names |= more
    return names


def component(pin: Pin, scope: ComponentScope) -> Component:
    """Return a package as CycloneDX has it."""
    marker = [Property(name="fairway:marker", value=pin.marker)] if pin.marker else []
    return Component(
        type=ComponentType.LIBRARY,
        name=pin.name,
        version=pin.version,
        bom_ref=pin.ref,
        purl=PackageURL("pypi", name=pin.name, version=pin.version),
        scope=scope,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
        properties=marker,
    )


def sbom() -> str:
    """Return the document.  Raises ValueError when it would not be CycloneDX."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    main = Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        description=project["description"],
        bom_ref="fairway",
        licenses=[DisjunctiveLicense(id=project["license"])],
    )
    locked = list(pins(LOCK))
    known = {pin.name for pin in locked}
    found = {pin.ref: pin for lock in ADDED_LOCKS for pin in pins(lock) if pin.name not in known}
    added = list(found.values())
    runs = running(locked)
    parts = {
        pin.ref: component(
            pin, ComponentScope.REQUIRED if pin.name in runs else ComponentScope.EXCLUDED
        )
        for pin in locked
    } | {pin.ref: component(pin, ComponentScope.OPTIONAL) for pin in added}
    content = "".join(lock.read_text() for lock in (LOCK, *ADDED_LOCKS)) + project["version"]
    bom = Bom(components=parts.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_OID, content))
    bom.metadata.component = main
    bom.metadata.timestamp = None
    for who in (main, *parts.values()):
        needs = [pin for pin in (*locked, *added) if _is_needed_by(pin, who)]
        bom.register_dependency(who, [parts[pin.ref] for pin in needs])
    text = JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"this is not CycloneDX 1.6: {problem}")
    return text


def _is_needed_by(pin: Pin, who: Component) -> bool:
    return (OURS if who.name == "fairway" else who.name) in pin.via


if __name__ == "__main__":
    SBOM.write_text(sbom())
    print(f"{SBOM.name}: {SBOM.stat().st_size:,} bytes", file=sys.stderr)
