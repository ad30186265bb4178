"""The desks of all features as one, for the thread that answers vehicles.

Rule 1: campaigns are first: what is known of vehicles, and of the plan's revision, is read there.
"""

from collections.abc import Collection, Sequence

from fleet_cloud.campaigns.desk import Desk
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.services.desk import ServiceDesk


class Conversation:
    """Answers vehicles."""

    def __init__(self, campaigns: Desk, services: ServiceDesk) -> None:
        """Both know vehicles by the same fleets."""
        self._campaigns, self._services = campaigns, services

    @property
    def fleets(self) -> Fleets:
        """What is known of vehicles."""
        return self._campaigns.fleets

    def refresh(self, now_ns: int) -> set[Vehicle] | None:
        """Read what changed; return the vehicles concerned, None when nothing did.  Raises Unavailable."""
        concerned = self._campaigns.refresh(now_ns)
        if concerned is None and self._services.revision == self._campaigns.revision:
            return None
        return (concerned or set()) | self._services.refresh(self._campaigns.revision)

    def push(self, vehicles: Collection[Vehicle]) -> list[Told]:
        """Return the lists of `vehicles` that are news.  Raises Unavailable."""
        return [*self._campaigns.push(vehicles), *self._services.push(vehicles)]

    def due_commands(self, now_ns: int) -> list[Told]:
        """Return the commands that are to be sent now.  Raises Unavailable."""
        return self._campaigns.due_commands(now_ns)

    def heard(self, heard: Sequence[Heard], now_ns: int) -> list[Told]:
        """Keep what vehicles said, and return what they are answered.  Raises Unavailable."""
        self._services.note_refusals(heard)
        return [*self._campaigns.heard(heard, now_ns), *self._services.heard(heard)]
