"""Direct assignment: software for one vehicle at somebody's word, without a rollout.

    assign --> open --offered, told--> closed: installed, failed, given up
                 |--cancel--> to be given up --the vehicle says so, or does not give up--> closed, or open
                 '--cancel by force--> closed

Rule 1: a vehicle does one order at a time, the oldest that is open; a new one has the older ones given up.
Rule 2: what is closed stays closed: late words of the vehicle change nothing.
Rule 3: nothing here is signed for Uptane: it is for clients that verify their own packages (hawkBit's, AWS
        Jobs').  Vehicles of ours take what their Director signs, and nothing else.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from fairway.errors import BadInput, Conflict
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.foreign.feedback import keeps_on, numbered
from fleet_cloud.rollouts.foreign.model import EVENTS_MAX, Assignment, Mode
from fleet_cloud.rollouts.foreign.ports import (
    Documents,
    Kind,
    change,
    found,
    read,
)
from fleet_cloud.rollouts.foreign.windows import is_open
from fleet_cloud.rollouts.ports import Offer

PREFIX = "direct-"
# Orders of one vehicle that wait: each new one has the older ones given up.
OPEN_MAX = 50


class DirectOffers:
    """Keeps what was assigned by hand, and offers it."""

    def __init__(
        self,
        documents: Documents,
        changed: Callable[[str, str], None] = lambda _tenant, _vehicle: None,
    ) -> None:
        """`changed` is told the tenant and the vehicle for which something else is to be done now."""
        self._documents, self._changed = documents, changed

    def offer(self, tenant: str, vehicle: str, now_ns: int) -> Offer | None:
        waiting = self.waiting(tenant, vehicle)
        return None if not waiting else _offer(waiting[0], now_ns)

    def tell(self, tenant: str, vehicle: str, events: Sequence[UpdateEvent], now_ns: int) -> None:
        del now_ns
        for event in events:
            if event.action.startswith(PREFIX):
                self._change(tenant, event.action, partial(_told, vehicle=vehicle, event=event))

    def history(self, tenant: str, vehicle: str, action: str) -> tuple[UpdateEvent, ...]:
        kept = self.assignment(tenant, vehicle, action)
        return kept.events if kept is not None else ()

    def assignment(self, tenant: str, vehicle: str, action: str) -> Assignment | None:
        """Return an order of a vehicle, open or closed.  Raises Unavailable."""
        kept = found(self._documents, tenant, Kind.ASSIGNMENT, action, Assignment)
        return kept if kept is not None and kept.vehicle == vehicle else None

    def waiting(self, tenant: str, vehicle: str) -> list[Assignment]:
        """Return the open orders of a vehicle, the oldest first.  Raises Unavailable."""
        return self._listed(tenant, vehicle)[::-1]

    def ended(self, tenant: str, vehicle: str) -> list[Assignment]:
        """Return the closed orders of a vehicle, the newest first.  Raises Unavailable."""
        return self._listed(tenant, _group(vehicle, is_open=False))

    def assign(self, tenant: str, wish: Assignment, now_ns: int) -> Assignment:
        """Give an order, and return it; older ones of the vehicle are to be given up.

        Raises Conflict when too many wait, Unavailable.
        """
        older = self.waiting(tenant, wish.vehicle)
        if len(older) >= OPEN_MAX:
            raise Conflict(f"{OPEN_MAX} orders of {wish.vehicle} wait: cancel some of them")
        action = PREFIX + secrets.token_hex(8)
        said = f"Assignment initiated by {wish.assigned_by}"
        first = UpdateEvent(action, now_ns, now_ns, Stage.PLANNED, sentence=said)
        order = replace(wish, action=action, events=(first,), assigned_time_ns=now_ns)
        self._change(tenant, action, lambda _: order)
        for one in older:
            self._change(tenant, one.action, _cancelled)
        self._changed(tenant, wish.vehicle)
        return order

    def cancel(self, tenant: str, vehicle: str, action: str, now_ns: int, *, force: bool) -> None:
        """Have an order given up; by force without asking the vehicle.

        Raises BadInput when there is no such open order, or it is to be given up already; Unavailable.
        """
        kept = self.assignment(tenant, vehicle, action)
        if kept is None or not kept.is_open:
            raise BadInput(f"{action} is no open order of {vehicle}")
        if kept.is_cancelled and not force:
            raise BadInput(f"{action} is to be given up already")
        if force:
            said = "Cancelled by force, without the vehicle's word"
            stop = UpdateEvent(
                action, now_ns, now_ns, Stage.FAILED, fault=Fault.CANCELLED, sentence=said
            )
            stop = numbered(stop, kept.events)
            self._change(tenant, action, partial(_told, vehicle=vehicle, event=stop))
        else:
            self._change(tenant, action, _cancelled)
        self._changed(tenant, vehicle)

    def forget(self, tenant: str, vehicle: str) -> None:
        """Forget a vehicle's orders: it belongs to the fleet no longer.  Raises Unavailable."""
        for one in [*self.waiting(tenant, vehicle), *self.ended(tenant, vehicle)]:
            self._documents.drop(tenant, Kind.ASSIGNMENT, one.action)

    def _listed(self, tenant: str, group: str) -> list[Assignment]:
        listed = self._documents.listed(tenant, Kind.ASSIGNMENT, group, limit=OPEN_MAX)
        return [read(Assignment, document.content) for document in listed]

    def _change(
        self, tenant: str, action: str, changed: Callable[[Assignment | None], Assignment | None]
    ) -> None:
        change(
            self._documents,
            tenant,
            Kind.ASSIGNMENT,
            action,
            changed,
            Assignment,
            group=lambda one: _group(one.vehicle, is_open=one.is_open),
        )


def _group(vehicle: str, *, is_open: bool) -> str:
    # No vehicle has a slash in its name: closed orders cost nothing when it asks.
    return vehicle if is_open else f"{vehicle}/closed"


def _told(kept: Assignment | None, vehicle: str, event: UpdateEvent) -> Assignment | None:
    """Return an order after a word of its vehicle; None: nothing changes."""
    if kept is None or kept.vehicle != vehicle or not kept.is_open:
        return None
    if any(one.sequence == event.sequence for one in kept.events):
        return None
    is_fetched = event.stage is Stage.STAGED and kept.mode is Mode.DOWNLOAD_ONLY
    is_over = (event.stage.is_final or is_fetched) and not event.ecu
    return replace(
        kept,
        events=(*kept.events, event)[-EVENTS_MAX:],
        is_open=not is_over,
        is_cancelled=kept.is_cancelled and not keeps_on(event),
    )


def _cancelled(kept: Assignment | None) -> Assignment | None:
    return None if kept is None or not kept.is_open else replace(kept, is_cancelled=True)


def _offer(kept: Assignment, now_ns: int) -> Offer:
    is_forced = kept.mode is not Mode.SOFT
    if kept.mode is Mode.TIMEFORCED:
        is_forced = now_ns >= kept.forced_from_ns
    return Offer(
        action=kept.action,
        rollout="",
        bundle=kept.bundle,
        images=kept.images,
        needs_consent=kept.needs_consent,
        is_cancelled=kept.is_cancelled,
        window_open=kept.window is None or is_open(kept.window, now_ns),
        is_forced=is_forced,
        has_window=kept.window is not None,
        is_download_only=kept.mode is Mode.DOWNLOAD_ONLY,
    )
