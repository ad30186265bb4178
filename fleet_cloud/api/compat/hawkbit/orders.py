"""An order of a vehicle as hawkBit's clients see it: by number, with links, in hawkBit's words."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request

from fairway.update import Stage, UpdateEvent
from fleet_cloud.api.compat.hawkbit.hashes import hashes_of
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.device.ports import Peer
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.chunks import chunks_of, filename_of
from fleet_cloud.rollouts.foreign.feedback import messages_of, numbered, type_of
from fleet_cloud.rollouts.foreign.model import InstalledSet, Target
from fleet_cloud.rollouts.foreign.ports import Kind, found
from fleet_cloud.rollouts.ports import Offer
from ota.manifest import Image

# Orders have numbers that fit hawkBit's own: whole numbers of 63 bits.
NUMBER_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Standing:
    """A vehicle that speaks, and what it is to do."""

    peer: Peer
    base: str  # the URL of its own resources, as it called them
    offer: Offer | None
    target: Target
    now_ns: int

    @property
    def waits_for_consent(self) -> bool:
        """Whether somebody has to agree first."""
        offer = self.offer
        return (
            offer is not None
            and offer.needs_consent
            and self.target.auto_confirm is None
            and self.target.confirmed != offer.action
        )


def standing(ports: HawkbitPorts, request: Request, peer: Peer, tenant: str) -> Standing:
    """Return how things stand with the vehicle that speaks.  Raises Unavailable."""
    now_ns = ports.device.clock.now_ns()
    offer = ports.device.offers.offer(peer.tenant, peer.vehicle, now_ns)
    target = ports.target(peer.tenant, peer.vehicle)
    base = f"{root_of(ports, request)}/{tenant}/controller/v1/{peer.vehicle}"
    return Standing(peer, base, offer, target, now_ns)


def root_of(ports: HawkbitPorts, request: Request) -> str:
    """Return the URL of this door as the client called it: it reaches us by that name."""
    scheme = request.url.scheme
    if request.client is not None and request.client.host in ports.proxies:
        said = request.headers.get("x-forwarded-proto", scheme)
        scheme = said if said in ("http", "https") else scheme
    return f"{scheme}://{request.url.netloc}"


def number_of(ports: HawkbitPorts, tenant: str, action: str) -> str:
    """Return the number of an order, as hawkBit writes it."""
    return str(ports.numbers.number(tenant, Kind.ACTION, action))


def action_of(ports: HawkbitPorts, tenant: str, number: str) -> str:
    """Return the order that has a number.  Raises NotFound, Unavailable."""
    is_one = number.isascii() and number.isdecimal() and len(number) <= NUMBER_MAX_DIGITS
    action = ports.numbers.name(tenant, Kind.ACTION, int(number)) if is_one else None
    if action is None:
        raise NotFound(f"there is no action {number[:40]!r}")
    return action


def offered(ports: HawkbitPorts, at: Standing, number: str) -> Offer:
    """Return what is offered to a vehicle now, when it has that number.  Raises NotFound, Unavailable."""
    if at.offer is None or action_of(ports, at.peer.tenant, number) != at.offer.action:
        raise NotFound(f"the action {number[:40]!r} is not this vehicle's to do now")
    return at.offer


def is_closed(ports: HawkbitPorts, peer: Peer, action: str, history: Sequence[UpdateEvent]) -> bool:
    """Whether nothing more is expected of an order."""
    direct = ports.direct.assignment(peer.tenant, peer.vehicle, action)
    if direct is not None:
        return not direct.is_open
    return bool(history) and history[-1].stage.is_final


def deployment(ports: HawkbitPorts, at: Standing, offer: Offer) -> dict[str, Any]:
    """Return what is to be done of an order.  Raises NotFound, Unavailable."""
    handling = "forced" if offer.is_forced else "attempt"
    is_now = offer.window_open and not offer.is_download_only
    window = {"maintenanceWindow": "available" if offer.window_open else "unavailable"}
    return {
        "download": "forced" if offer.is_download_only else handling,
        "update": handling if is_now else "skip",
        **(window if offer.has_window else {}),
        "chunks": chunks(ports, at, offer.images),
    }


def installed_deployment(
    ports: HawkbitPorts, at: Standing, installed: InstalledSet
) -> dict[str, Any]:
    """Return an order that was done, as an order."""
    listed = chunks(ports, at, installed.images)
    return {"download": "forced", "update": "forced", "chunks": listed}


def chunks(ports: HawkbitPorts, at: Standing, images: Sequence[Image]) -> list[dict[str, Any]]:
    """Return the modules of an order.  Raises NotFound, Unavailable."""
    tenant = at.peer.tenant
    listed = []
    for chunk in chunks_of(images):
        number = ports.numbers.number(tenant, Kind.MODULE, chunk.key)
        listed.append(
            {
                "part": chunk.part,
                "name": chunk.name,
                "version": chunk.version,
                "artifacts": [artifact(ports, at, number, image) for image in chunk.images],
            }
        )
    return listed


def artifact(ports: HawkbitPorts, at: Standing, module: int, image: Image) -> dict[str, Any]:
    """Return a file of a module.  Raises NotFound, Unavailable."""
    hashes = hashes_of(ports, at.peer.tenant, image.sha256)
    filename = filename_of(image)
    url = f"{at.base}/softwaremodules/{module}/artifacts/{quote(filename)}"
    links = {
        "download": {"href": url},
        "md5sum": {"href": f"{url}.MD5SUM"},
        "download-http": {"href": url},
        "md5sum-http": {"href": f"{url}.MD5SUM"},
    }
    return {
        "filename": filename,
        "hashes": {"sha1": hashes.sha1, "md5": hashes.md5, "sha256": hashes.sha256},
        "size": hashes.length,
        "_links": links,
    }


def history_part(events: Sequence[UpdateEvent], wanted: int) -> Mapping[str, Any]:
    """Return the newest messages of an order, as many as a client wants: -1 for all of them."""
    if wanted == 0 or not events:
        return {}
    messages = [one for event in reversed(events) for one in messages_of(event)]
    some = messages if wanted < 0 else messages[:wanted]
    return {"actionHistory": {"status": type_of(events[-1]).upper(), "messages": some}}


def told_once(ports: HawkbitPorts, at: Standing, offer: Offer) -> None:
    """Note that a vehicle has fetched its order; the first time only."""
    peer = at.peer
    history = ports.device.offers.history(peer.tenant, peer.vehicle, offer.action)
    if any(event.stage is not Stage.PLANNED for event in history):
        return
    said = "The vehicle has fetched its order"
    event = UpdateEvent(offer.action, at.now_ns, at.now_ns, Stage.OFFERED, sentence=said)
    tell(ports, at, event)


def tell(ports: HawkbitPorts, at: Standing, event: UpdateEvent) -> None:
    """Tell whoever gave an order what its vehicle says.  Raises Unavailable."""
    offers, tenant, vehicle = ports.device.offers, at.peer.tenant, at.peer.vehicle
    history = offers.history(tenant, vehicle, event.action)
    offers.tell(tenant, vehicle, [numbered(event, history)], at.now_ns)


def state_tag(offer: Offer) -> str:
    """Return what a link says, so that a client sees when an order reads otherwise."""
    says = (offer.window_open, offer.is_forced, [image.sha256 for image in offer.images])
    return str(int.from_bytes(hashlib.sha256(repr(says).encode()).digest()[:4], "big"))


def installed_set(ports: HawkbitPorts, peer: Peer) -> InstalledSet | None:
    """Return what a vehicle installed last.  Raises Unavailable."""
    return found(ports.documents, peer.tenant, Kind.INSTALLED, peer.vehicle, InstalledSet)
