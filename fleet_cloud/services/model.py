"""What the cloud keeps of a service that is desired of a target.

Rule 1: of one service there is one thing desired of one target: its id says both, so asking
        twice changes nothing.
Rule 2: a change is made to a version that was looked at; whoever was slower looks again.
"""

import hashlib
from dataclasses import dataclass

from fairway.control import ServiceStatus
from fairway.services.manifest import service_digest, service_to_json
from fairway.services.model import Service
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.control.targets import Target
from fleet_cloud.services.life import State

ID_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Content:
    """A manifest, who wants it, and who approved it."""

    manifest: str  # canonical JSON
    sync_id: str
    version: str
    image: str  # sha256:...; "": a program of the vehicle
    author: str
    time_ns: int
    approved_by: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is desired of one target, about one service."""

    id: str
    tenant: str
    name: str  # of the service
    target: Target
    state: State
    created_time_ns: int
    changed_time_ns: int
    in_force: Content | None = None
    proposed: Content | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Said:
    """What a vehicle said last of its services, and when that came."""

    vehicle: Vehicle
    revision: int  # of the list that it had put into force
    services: tuple[ServiceStatus, ...]
    received_time_ns: int


def content_of(service: Service, *, author: str, now_ns: int) -> Content:
    """Return the content that a manifest is."""
    text = service_to_json(service)
    return Content(text, service_digest(service), service.version, service.image, author, now_ns)


def desired_id(tenant: str, name: str, target: Target) -> str:
    """Return what the desire for a service is called, of a target."""
    said = f"{tenant}\0{name}\0{target.kind}\0{target.text}"
    return hashlib.sha256(said.encode()).hexdigest()[:ID_CHARACTERS]
