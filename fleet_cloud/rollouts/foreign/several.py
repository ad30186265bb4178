"""Offers from more than one place, as one: what was assigned by hand first, then what rollouts offer.

Rule 1: an order is of one place only: the others know nothing of it, and say so.
"""

from collections.abc import Sequence

from fairway.update import UpdateEvent
from fleet_cloud.rollouts.ports import Offer, Offers


class SeveralOffers:
    """The first that has an offer makes it."""

    def __init__(self, *places: Offers) -> None:
        self._places = places

    def offer(self, tenant: str, vehicle: str, now_ns: int) -> Offer | None:
        for place in self._places:
            found = place.offer(tenant, vehicle, now_ns)
            if found is not None:
                return found
        return None

    def tell(self, tenant: str, vehicle: str, events: Sequence[UpdateEvent], now_ns: int) -> None:
        for place in self._places:
            place.tell(tenant, vehicle, events, now_ns)

    def history(self, tenant: str, vehicle: str, action: str) -> tuple[UpdateEvent, ...]:
        for place in self._places:
            found = place.history(tenant, vehicle, action)
            if found:
                return found
        return ()
