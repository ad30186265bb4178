"""One call of a FleetWise operation: who asks for what, and what it may be answered with.

Rule 1: a handler takes a call that is validated and allowed, and returns what the model calls the output.
Rule 2: what changes something goes through `Call.change`, which writes the act before it is done.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fairway.clock import NS_PER_S
from fleet_cloud.access.grants import Principal
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_pages import PageTokens
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.models.accounts import Account
from fleet_cloud.models.campaigns import Campaigns
from fleet_cloud.models.documents import DOCUMENTS_MAX_PAGE, Document, Kind, Reference
from fleet_cloud.models.transactions import Models, Transaction
from fleet_cloud.vehicles.certificates import Certificates
from fleet_cloud.vehicles.registry import VehicleRegistry

T = TypeVar("T")

# What a client that does not say gets at once; the model allows no more.
PAGE_DEFAULT = 100

_METADATA = ("name", "id", "vehicleName", "arn", "creationTime", "lastModificationTime")


@dataclass(frozen=True, slots=True)
class Parts:
    """What handlers work on."""

    models: Models
    vehicles: VehicleRegistry
    certificates: Certificates
    campaigns: Campaigns
    audit: Audit
    tokens: PageTokens


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    operation: str
    request: Mapping[str, Any]
    account: Account
    principal: Principal
    now_ns: int
    parts: Parts

    @property
    def actor(self) -> str:
        """Who asks, as the audit log calls them."""
        return self.principal.actor

    @property
    def tenant(self) -> str:
        """Whose things are meant."""
        return self.account.tenant

    def reading(self) -> Transaction:
        """Return what is known now."""
        return self.parts.models.reading(self.tenant, self.now_ns)

    def change(self, verb: str, kind: str, name: str, work: Callable[[Transaction], T]) -> T:
        """Have `work` decide and commit it, with the act `<kind>.<verb>` in the audit log before."""
        return self.parts.models.change(
            self.tenant, self.now_ns, work, before=lambda: self.write_act(verb, kind, name)
        )

    def write_act(self, verb: str, kind: str, name: str) -> None:
        """Write what is about to be done.  Raises Unavailable: then it is not done."""
        act = Act(f"{kind}.{verb}", self.actor, f"{kind}:{name}", self.tenant)
        self.parts.audit.write(act)

    def page(
        self, member: str, fetch: Callable[[str, int], Sequence[tuple[str, Any]]]
    ) -> dict[str, Any]:
        """Return one page of what `fetch(after, limit)` gives as (name, view) in order of name."""
        tokens, limit = self.parts.tokens, self.request.get("maxResults", PAGE_DEFAULT)
        after = tokens.read(self.tenant, self.operation, self.request)
        found = fetch(after, limit + 1)
        answer: dict[str, Any] = {member: [view for _, view in found[:limit]]}
        if len(found) > limit:
            last = found[limit - 1][0]
            answer["nextToken"] = tokens.made(self.tenant, self.operation, self.request, last)
        return answer


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation needs, and who answers it."""

    permission: Permission
    run: Callable[[Call], dict[str, Any]]


def seconds(time_ns: int) -> float:
    """Return a time as AWS's JSON has it."""
    return round(time_ns / NS_PER_S, 3)


def times(document: Document) -> dict[str, float]:
    """Return when a document was made, and changed last."""
    return {
        "creationTime": seconds(document.created_time_ns),
        "lastModificationTime": seconds(document.changed_time_ns),
    }


def given(request: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those members of a request (or a content) that are there."""
    return {name: request[name] for name in names if name in request}


def listed(
    call: Call,
    member: str,
    kind: Kind,
    view: Callable[[Document], Any],
    of: Reference | None = None,
) -> dict[str, Any]:
    """Return one page of the documents of a kind (that refer to `of`)."""
    transaction = call.reading()

    def fetch(after: str, limit: int) -> list[tuple[str, Any]]:
        found = transaction.listed(kind, of=of, after=after, limit=limit)
        return [(document.name, in_scope(call, view(document))) for document in found]

    return call.page(member, fetch)


def in_scope(call: Call, view: dict[str, Any]) -> dict[str, Any]:
    """Return as much of a summary as was asked for (`listResponseScope`)."""
    return given(view, *_METADATA) if "listResponseScope" in call.request else view


def campaign_of(call: Call, member: str, arn: str) -> str:
    """Return a campaign whose document names `arn` in that member; empty when none does."""
    after = ""
    while page := call.parts.campaigns.listed(call.tenant, after=after, limit=DOCUMENTS_MAX_PAGE):
        found = [one.name for one in page if one.document.get(member) == arn]
        if found:
            return found[0]
        after = page[-1].name
    return ""


def sliced(items: Mapping[str, Any]) -> Callable[[str, int], list[tuple[str, Any]]]:
    """Return what pages through items that are one document, in order of name."""
    names = sorted(items)

    def fetch(after: str, limit: int) -> list[tuple[str, Any]]:
        behind = [name for name in names if name > after][:limit]
        return [(name, items[name]) for name in behind]

    return fetch
