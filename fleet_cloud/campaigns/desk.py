"""Where vehicles' control messages are answered, whatever they came over.

    heard(messages)   check-in -> lists that differ, catalogue wanted, open commands      the rest is kept
    refresh()         the plan changed -> the vehicles concerned
    push(vehicles)    their lists, as far as they are news

Rule 1: whose message it is, and when a list is sent, says control/listing.py.
Rule 2: nothing here waits for a vehicle: what is lost on the way is sent again when it checks in.
Rule 3: one thread at a time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairway.control import (
    Answer,
    CampaignList,
    CampaignOrder,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    StateReport,
    StateTemplate,
    StateTemplateList,
    ToVehicle,
)
from fleet_cloud.campaigns.plan import Plan, digest, templates_digest
from fleet_cloud.campaigns.ports import (
    Catalogues,
    CheckedIn,
    CheckIns,
    Following,
    Twins,
)
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.listing import Heard, Listing, Told
from fleet_cloud.control.ports import (
    Commands,
    ListKind,
    Lists,
    Order,
    Vehicle,
)


@dataclass(frozen=True, slots=True)
class Stores:
    """What the desk reads and writes."""

    following: Following
    lists: Lists
    check_ins: CheckIns
    twins: Twins
    commands: Commands
    catalogues: Catalogues


class Desk:
    """Answers vehicles from the plan."""

    def __init__(self, stores: Stores, tenants: Callable[[], Mapping[str, str]]) -> None:
        """`tenants` names the tenant of every vehicle that may connect."""
        self._stores = stores
        self._tenants = tenants
        self._listing = Listing(stores.lists)
        self.revision = 0  # of the plan, as far as it is known here
        self._templates: dict[str, tuple[StateTemplate, ...]] = {}
        self._open: dict[Vehicle, list[Order]] = {}
        self._told: set[str] = set()  # commands that went over connections held here
        self.fleets = Fleets(tenants)
        self.plan = Plan(self.fleets)

    def refresh(self, now_ns: int) -> set[Vehicle] | None:
        """Read what changed; return the vehicles concerned, None when nothing did.  Raises Unavailable."""
        changes = self._stores.following.changes(self.revision)
        if changes.revision == self.revision:
            return None
        concerned = set[Vehicle]()
        for vehicle, facts in changes.facts:
            self.fleets.put(*vehicle, facts)
            concerned.add(vehicle)
        for kept in changes.campaigns:
            concerned |= {Vehicle(kept.tenant, name) for name in self.plan.put(kept)}
        if changes.templates:
            self._templates |= changes.templates
            concerned |= {
                Vehicle(tenant, name)
                for name, tenant in self._tenants().items()
                if tenant in changes.templates
            }
        self._open = {}
        for order in self._stores.commands.open_commands(now_ns):
            self._open.setdefault(order.vehicle, []).append(order)
        self.revision = changes.revision
        return concerned

    def push(self, vehicles: Collection[Vehicle]) -> list[Told]:
        """Return the lists of `vehicles` that are news.  Raises Unavailable."""
        return [
            *self._campaign_lists(dict.fromkeys(vehicles, 0), only_news=True),
            *self._template_lists(dict.fromkeys(vehicles, 0), only_news=True),
        ]

    def due_commands(self, now_ns: int) -> list[Told]:
        """Return the commands that nobody has sent yet, or that were not sent over connections held here."""
        orders = [one for some in self._open.values() for one in some if one.id not in self._told]
        if not orders:
            return []
        fresh = [one for one in orders if not one.is_sent]
        ours = {one.id for one in self._stores.commands.mark_sent(fresh)} if fresh else set()
        self._told = {one.id for some in self._open.values() for one in some}
        return [
            Told(one.vehicle, _command(one), is_ours=one.id in ours)
            for one in orders
            if one.expires_time_ns > now_ns
        ]

    def heard(self, heard: Sequence[Heard], now_ns: int) -> list[Told]:
        """Keep what vehicles said, and return what they are answered.  Raises Unavailable."""
        check_ins: dict[Vehicle, Heard] = {}
        reports, answers, wanted = [], [], list[Told]()
        for one in heard:
            match one.noun:
                case CheckIn():
                    check_ins[one.vehicle] = one  # of several the newest counts
                case Catalogue(dictionary):
                    self._stores.catalogues.keep_catalogue(one.vehicle.tenant, dictionary)
                case StateReport(template, values):
                    reports.append((one.vehicle, template, values))
                case Answer() as answer:
                    answers.append((one.vehicle, answer))
        if reports:
            self._stores.twins.report(reports, now_ns)
        if answers:
            self._stores.commands.answered(answers)
            self._forget({answer.id for _, answer in answers})
        for vehicle, one in check_ins.items():
            assert isinstance(one.noun, CheckIn)
            named = one.noun.catalogue_id
            if named and self._stores.catalogues.table(vehicle.tenant, named) is None:
                wanted.append(Told(vehicle, CatalogueWanted()))
        return wanted + self._checked_in(check_ins, now_ns)

    def campaign_lists(self, reported: Mapping[Vehicle, int]) -> list[Told]:
        """Return the lists of vehicles whose revision is not the one that they report.  Raises Unavailable."""
        return self._campaign_lists(reported, only_news=False)

    def _checked_in(self, heard: Mapping[Vehicle, Heard], now_ns: int) -> list[Told]:
        said = {vehicle: one.noun for vehicle, one in heard.items()}
        check_ins = {vehicle: one for vehicle, one in said.items() if isinstance(one, CheckIn)}
        if not check_ins:
            return []
        self._stores.check_ins.note(
            [
                CheckedIn(vehicle, one, heard[vehicle].received_time_ns)
                for vehicle, one in check_ins.items()
            ]
        )
        campaigns = {vehicle: one.campaigns_revision for vehicle, one in check_ins.items()}
        templates = {vehicle: one.state_templates_revision for vehicle, one in check_ins.items()}
        again = [
            Told(vehicle, _command(order))
            for vehicle in check_ins
            for order in self._open.get(vehicle, ())
            if order.expires_time_ns > now_ns
        ]
        return [
            *self._campaign_lists(campaigns, only_news=False),
            *self._template_lists(templates, only_news=False),
            *again,
        ]

    def _campaign_lists(self, reported: Mapping[Vehicle, int], *, only_news: bool) -> list[Told]:
        orders = {vehicle: self.plan.orders(*vehicle) for vehicle in reported}
        digests = {vehicle: digest(some) for vehicle, some in orders.items()}
        known: dict[tuple[int, str], CampaignList] = {}

        def listed(vehicle: Vehicle, revision: int) -> ToVehicle:
            key = (revision, digests[vehicle])
            some: tuple[CampaignOrder, ...] = orders[vehicle]
            return known.setdefault(key, CampaignList(revision, some))

        return self._listing.told(
            ListKind.CAMPAIGNS, reported, digests, listed, self.revision, only_news=only_news
        )

    def _template_lists(self, reported: Mapping[Vehicle, int], *, only_news: bool) -> list[Told]:
        of = {tenant: templates_digest(some) for tenant, some in self._templates.items()}
        digests = {vehicle: of.get(vehicle.tenant, "") for vehicle in reported}

        def listed(vehicle: Vehicle, revision: int) -> ToVehicle:
            return StateTemplateList(revision, self._templates.get(vehicle.tenant, ()))

        return self._listing.told(
            ListKind.TEMPLATES, reported, digests, listed, self.revision, only_news=only_news
        )

    def _forget(self, answered: Iterable[str]) -> None:
        ids = set(answered)
        self._open = {
            vehicle: left
            for vehicle, some in self._open.items()
            if (left := [one for one in some if one.id not in ids])
        }


def _command(order: Order) -> Command:
    return Command(order.id, order.expires_time_ns, order.what)
