"""Where vehicles' control messages are answered as far as they are about services.

    heard(messages)   check-in -> statuses are kept, and a list is sent that differs
    refresh()         what is desired changed -> the vehicles concerned
    push(vehicles)    their lists, as far as they are news

Rule 1: a vehicle that has not said that it runs services is told nothing of them.
Rule 2: what a vehicle forbids is in the audit log as what was asked is.
Rule 3: one thread at a time, the same that answers about campaigns.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fairway.control import (
    FORBIDDEN_BY_VEHICLE,
    Answer,
    CheckIn,
    ServiceList,
    ServiceOrder,
    ToVehicle,
)
from fleet_cloud.audit.acts import Act, Audit, Outcome
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.listing import Heard, Listing, Told
from fleet_cloud.control.ports import Commands, ListKind, Lists, Vehicle
from fleet_cloud.services.model import Said
from fleet_cloud.services.plan import ServicePlan, digest, orders
from fleet_cloud.services.ports import Following, Statuses


@dataclass(frozen=True, slots=True)
class ServiceStores:
    """What the desk reads and writes."""

    following: Following
    lists: Lists
    statuses: Statuses
    commands: Commands
    audit: Audit


class ServiceDesk:
    """Answers vehicles from what is desired."""

    def __init__(
        self, stores: ServiceStores, fleets: Fleets, artifacts_url: Callable[[], str]
    ) -> None:
        """`artifacts_url` says where vehicles fetch images; "" where they have nothing but what they know."""
        self._stores = stores
        self._listing = Listing(stores.lists)
        self._artifacts_url = artifacts_url
        self.revision = 0  # of the plan, as far as it is known here
        self.plan = ServicePlan(fleets)

    def refresh(self, revision: int) -> set[Vehicle]:
        """Read what changed until a revision of the plan; return the vehicles concerned.  Raises Unavailable.

        What is known of vehicles must have been read until there.
        """
        changes = self._stores.following.service_changes(self.revision, revision)
        concerned = {
            Vehicle(kept.tenant, name) for kept in changes.services for name in self.plan.put(kept)
        }
        self.revision = revision
        return concerned

    def push(self, vehicles: Collection[Vehicle]) -> list[Told]:
        """Return the lists of `vehicles` that are news.  Raises Unavailable."""
        listening = self._stores.statuses.with_services(vehicles)
        return self._lists(dict.fromkeys(listening, 0), only_news=True)

    def note_refusals(self, heard: Sequence[Heard]) -> None:
        """Audit what vehicles forbid; call it before answers are noted.  Raises Unavailable."""
        for one in heard:
            answer = one.noun
            if not isinstance(answer, Answer) or answer.reason_code != FORBIDDEN_BY_VEHICLE:
                continue
            order = self._stores.commands.command([one.vehicle.tenant], answer.id)
            if order is None or order.vehicle != one.vehicle or order.answer is not None:
                continue  # nobody asked, or it was said before
            details = {
                "command": order.id,
                "what": type(order.what).__name__,
                "asked_by": order.actor,
            }
            self._stores.audit.write(
                Act(
                    "vehicle.forbid",
                    f"vehicle:{one.vehicle.name}",
                    f"vehicle:{one.vehicle.name}",
                    one.vehicle.tenant,
                    outcome=Outcome.DENIED,
                    details=details | {"why": answer.sentence},
                )
            )

    def heard(self, heard: Sequence[Heard]) -> list[Told]:
        """Keep what vehicles said of services, and return what they are answered.  Raises Unavailable."""
        said: dict[Vehicle, Said] = {}
        without = set[Vehicle]()
        for one in heard:
            if not isinstance(one.noun, CheckIn):
                continue
            revision, services = one.noun.services_revision, one.noun.services
            said.pop(one.vehicle, None)  # of several the newest counts
            without.discard(one.vehicle)
            if revision is None:
                without.add(one.vehicle)
            else:
                said[one.vehicle] = Said(one.vehicle, revision, services, one.received_time_ns)
        if said or without:
            self._stores.statuses.note_services(list(said.values()), without)
        reported = {vehicle: one.revision for vehicle, one in said.items()}
        return self._lists(reported, only_news=False) if reported else []

    def _lists(self, reported: Mapping[Vehicle, int], *, only_news: bool) -> list[Told]:
        url = self._artifacts_url()
        wanted = {vehicle: orders(self.plan.chosen(*vehicle)) for vehicle in reported}
        digests = {vehicle: digest(some, url) for vehicle, some in wanted.items()}
        known: dict[tuple[int, str], ServiceList] = {}

        def listed(vehicle: Vehicle, revision: int) -> ToVehicle:
            some: tuple[ServiceOrder, ...] = wanted[vehicle]
            key = (revision, digests[vehicle])
            return known.setdefault(key, ServiceList(revision, some, url))

        return self._listing.told(
            ListKind.SERVICES, reported, digests, listed, self.revision, only_news=only_news
        )
