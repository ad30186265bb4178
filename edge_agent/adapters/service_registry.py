"""Serves ServiceRegistryService at the doors of services: who the caller is, and the offers that it sees.

Rule 1: who calls is said by the door, in the grant; nothing in a request names another service.
"""

import asyncio
from typing import Any, Protocol

import grpc.aio

from edge_agent.adapters.kuksa_service import Context, Handler, add_service
from edge_agent.adapters.onboard_calls import current_grant
from edge_agent.adapters.service_folder import OFFER_SOCKET, TOKEN, USES
from edge_agent.services.instance import Instance
from edge_agent.services.registry import Sight, differences
from fairway.errors import BadInput
from fairway.v1 import services_pb2

# Features of an offer: words, not documents.
FEATURES_MAX = 256
_NAME_MAX_CHARS = 200


class Registered(Protocol):
    """What the registry wants of the doors."""

    def instance_of(self, id_: str) -> Instance:
        """Return an instance whose door is open.  Raises Unavailable."""
        ...

    def sights_of(self, id_: str) -> tuple[Sight, ...]:
        """Return the offers that it sees.  Raises Unavailable."""
        ...

    def announce(self, id_: str, offer: str, features: tuple[str, ...], *, is_ready: bool) -> None:
        """Note what it says of an offer of its own.  Raises Denied or Unavailable."""
        ...

    @property
    def changed(self) -> asyncio.Event:
        """Return what is set at the next change; another one follows it."""
        ...


class ServiceRegistry:
    """The service."""

    def __init__(self, doors: Registered) -> None:
        self._doors = doors

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "Whoami": self._whoami,
            "ListOffers": self._list_offers,
            "WatchOffers": self._watch_offers,
            "Announce": self._announce,
        }
        service = services_pb2.DESCRIPTOR.services_by_name["ServiceRegistryService"]
        return add_service(server, service, handlers)

    async def _whoami(self, _: services_pb2.WhoamiRequest, __: Context) -> Any:
        instance = self._doors.instance_of(_caller())
        service = instance.service
        return services_pb2.WhoamiResponse(
            service=service.name,
            version=service.version,
            instance=instance.id,
            read=service.signals.read,
            write=service.signals.write,
            provide=service.signals.provide,
            offers=[offer.name for offer in service.offers],
            uses=[use.name for use in service.uses],
        )

    async def _list_offers(self, _: services_pb2.ListOffersRequest, __: Context) -> Any:
        seen = self._doors.sights_of(_caller())
        return services_pb2.ListOffersResponse(offers=[_told(sight) for sight in seen])

    async def _watch_offers(self, _: services_pb2.WatchOffersRequest, context: Context) -> None:
        before: tuple[Sight, ...] = ()
        is_first = True
        while True:
            changed = self._doors.changed
            after = self._doors.sights_of(_caller())
            new, gone = differences(before, after)
            if new or gone or is_first:
                message = services_pb2.WatchOffersResponse(offers=[_told(sight) for sight in new])
                for sight in gone:
                    message.gone.add(name=sight.name, service=sight.key[1])
                await context.write(message)
            before, is_first = after, False
            await changed.wait()

    async def _announce(self, request: services_pb2.AnnounceRequest, _: Context) -> Any:
        if len(request.features) > FEATURES_MAX or len(request.offer) > _NAME_MAX_CHARS:
            raise BadInput(f"an offer has a name and at most {FEATURES_MAX} features")
        self._doors.announce(
            _caller(), request.offer, tuple(request.features), is_ready=request.is_ready
        )
        return services_pb2.AnnounceResponse()


def _caller() -> str:
    return current_grant().instance


def _told(sight: Sight) -> services_pb2.Offer:
    made = services_pb2.Offer(name=sight.name, is_own=sight.is_own, why=sight.why)
    if sight.offered is not None:
        offer = sight.offered.offer
        made.version, made.proto = offer.version, offer.proto
        made.features.extend(sight.offered.features)
        made.service, made.instance = sight.offered.service, sight.offered.instance
        made.is_ready = sight.offered.is_ready
    if sight.is_open:
        made.socket = f"{USES}/{sight.name}/{OFFER_SOCKET}"
        made.token_file = f"{USES}/{sight.name}/{TOKEN}"
    return made
