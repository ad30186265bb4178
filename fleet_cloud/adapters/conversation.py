"""The desks of all features as one, for the thread that answers vehicles.

Rule 1: campaigns are first: what is known of vehicles, and of the plan's revision, is read there.
"""

from collections.abc import Collection, Sequence

from fleet_cloud.campaigns.desk import Desk
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.rollouts.notices import NoticeDesk
from fleet_cloud.services.desk import ServiceDesk


class Conversation:
    """Answers vehicles."""

    def __init__(
        self, campaigns: Desk, services: ServiceDesk, notices: NoticeDesk | None = None
    ) -> None:
        """Both know vehicles by the same fleets; without `notices` nobody is told of updates."""
        self._campaigns, self._services, self._notices = campaigns, services, notices
        self._only_noticed: set[Vehicle] = set()  # there is nothing else that is new to them

    @property
    def fleets(self) -> Fleets:
        """What is known of vehicles."""
        return self._campaigns.fleets

    def refresh(self, now_ns: int) -> set[Vehicle] | None:
        """Read what changed; return the vehicles concerned, None when nothing did.  Raises Unavailable."""
        concerned = self._campaigns.refresh(now_ns)
        if concerned is None and self._services.revision == self._campaigns.revision:
            return None
        revision = self._campaigns.revision
        found = (concerned or set()) | self._services.refresh(revision)
        if self._notices is None:
            return found
        noticed = self._notices.refresh(revision)
        self._only_noticed = (self._only_noticed | noticed) - found
        return found | noticed

    def push(self, vehicles: Collection[Vehicle]) -> list[Told]:
        """Return the lists of `vehicles` that are news.  Raises Unavailable."""
        some = [one for one in vehicles if one not in self._only_noticed]
        told = [*self._campaigns.push(some), *self._services.push(some)] if some else []
        if self._notices is not None:
            told += self._notices.push(vehicles)
        self._only_noticed.difference_update(vehicles)
        return told

    def due_commands(self, now_ns: int) -> list[Told]:
        """Return the commands that are to be sent now.  Raises Unavailable."""
        return self._campaigns.due_commands(now_ns)

    def heard(self, heard: Sequence[Heard], now_ns: int) -> list[Told]:
        """Keep what vehicles said, and return what they are answered.  Raises Unavailable."""
        self._services.note_refusals(heard)
        told = [*self._campaigns.heard(heard, now_ns), *self._services.heard(heard)]
        return told if self._notices is None else [*told, *self._notices.heard(heard)]
