"""Releases for a vehicle of five ECUs: each version has bytes that say whose it is."""

import hashlib
import io
import tarfile
from collections.abc import Sequence
from typing import Any

from fairway.services.manifest import service_document
from fairway.services.model import Service
from ota.manifest import Image, Install, Kind
from ota.trust.model import Assigned, Ecu, Plan

SERIALS = ("gateway", "maps", "apps", "body", "brake")


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def maps_of(version: int) -> dict[str, bytes]:
    return {"europe/roads.bin": f"roads {version}".encode() * 9, "index": f"v{version}".encode()}


def bytes_of(serial: str, version: int) -> bytes:
    if serial == "maps":
        return tar_of(maps_of(version))
    return f"{serial} {version} ".encode() * 60


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


KINDS = {
    "gateway": Kind.SLOT,
    "maps": Kind.FILE,
    "apps": Kind.CONTAINER,
    "body": Kind.FIRMWARE,
    "brake": Kind.FIRMWARE,
}


def service_of(version: int) -> Service:
    digest = sha256(bytes_of("apps", version))
    return Service(name="apps", version=f"{version}.0.0", image=f"sha256:{digest}")


def assigned(serial: str, version: int, **install: Any) -> Assigned:
    content = bytes_of(serial, version)
    image = Image(
        path=f"{serial}/{version}",
        length=len(content),
        sha256=sha256(content),
        kind=KINDS[serial],
        name=serial,
        version=f"{version}.0.0",
        release_counter=version,
        hardware_ids=(f"{serial}-hw",),
        install=Install(**install),
        service=service_document(service_of(version)) if serial == "apps" else {},
    )
    return Assigned(Ecu(serial, f"{serial}-hw"), image)


def plan_of(version: int, serials: Sequence[str] = SERIALS, **install: Any) -> Plan:
    return Plan(
        f"to-{version}", tuple(assigned(one, version, **install) for one in serials), version
    )
