"""What vehicles said, what they are told, and which of their lists are news.

Rule 1: whose message it is comes from the connection, never from the message.
Rule 2: a list is sent when the vehicle's revision differs from the list's, or when the list is news; what is
        news is sent by the process that numbered it, and by whoever holds a connection of that vehicle's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fairway.control import FromVehicle, ToVehicle
from fleet_cloud.control.ports import ListKind, Lists, Vehicle, Wanted


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, and the vehicle whose connection it came over."""

    vehicle: Vehicle
    noun: FromVehicle
    received_time_ns: int


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be sent to a vehicle; not `is_ours`: only over a connection that is held here."""

    vehicle: Vehicle
    noun: ToVehicle
    is_ours: bool = True


class Listing:
    """Finds out which lists are to be sent."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def told(
        self,
        kind: ListKind,
        reported: Mapping[Vehicle, int],
        digests: Mapping[Vehicle, str],
        listed: Callable[[Vehicle, int], ToVehicle],
        basis: int,
        *,
        only_news: bool,
    ) -> list[Told]:
        """Return the lists of those vehicles whose revision is not right, or (`only_news`) that are news.

        `digests` names what each is to have, worked out from the plan's revision `basis`.  Raises Unavailable.
        """
        wanted = [Wanted(vehicle, digests[vehicle], at) for vehicle, at in reported.items()]
        told = []
        for vehicle, revised in self._lists.revise(kind, wanted, basis).items():
            if revised.digest != digests[vehicle]:
                continue  # somebody knows more than this process, and tells the vehicle
            if only_news or revised.revision != reported[vehicle]:
                is_news = revised.is_new or not only_news
                if revised.revision or is_news:
                    told.append(Told(vehicle, listed(vehicle, revised.revision), is_ours=is_news))
        return told
