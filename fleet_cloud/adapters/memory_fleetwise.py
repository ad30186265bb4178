"""What the door of FleetWise's agents needs of the fleet, in memory: nothing outlives the process."""

import threading
from collections.abc import Sequence

from fairway.control import Answer, CampaignOrder, CheckIn, StateReport, StateTemplateList
from fairway.signals import Dictionary
from fleet_cloud.fleetwise.ports import NamedManifest


class MemoryManifests:
    """Keeps manifests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, NamedManifest] = {}
        self._known: dict[tuple[str, str], NamedManifest] = {}

    def give(self, vehicle: str, manifest: NamedManifest) -> None:
        """Have `vehicle` have this manifest from now on."""
        with self._lock:
            self._now[vehicle] = manifest
            self._known[vehicle, manifest.manifest.sync_id] = manifest

    def of_vehicle(self, vehicle: str) -> NamedManifest | None:
        with self._lock:
            return self._now.get(vehicle)

    def called(self, vehicle: str, sync_id: str) -> NamedManifest | None:
        with self._lock:
            return self._known.get((vehicle, sync_id))


class MemoryCampaigns:
    """Keeps campaigns, and the last check-in of each vehicle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[str, tuple[CampaignOrder, ...]] = {}
        self._check_ins: dict[str, tuple[CheckIn, Dictionary | None]] = {}

    def order(self, vehicle: str, *orders: CampaignOrder) -> None:
        """Have `vehicle` run exactly these from now on."""
        with self._lock:
            self._orders[vehicle] = orders

    def check_in(self, vehicle: str) -> tuple[CheckIn, Dictionary | None] | None:
        """Return what `vehicle` said last, and everything that it can collect."""
        with self._lock:
            return self._check_ins.get(vehicle)

    def orders(self, vehicle: str) -> Sequence[CampaignOrder]:
        with self._lock:
            return self._orders.get(vehicle, ())

    def checked_in(self, vehicle: str, check_in: CheckIn, catalogue: Dictionary | None) -> None:
        with self._lock:
            self._check_ins[vehicle] = (check_in, catalogue)


class MemoryStates:
    """Keeps templates, and all that vehicles said."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._templates: dict[str, StateTemplateList] = {}
        self._said: dict[str, list[StateReport | Answer]] = {}

    def give(self, vehicle: str, templates: StateTemplateList) -> None:
        """Have `vehicle` have these templates from now on."""
        with self._lock:
            self._templates[vehicle] = templates

    def said(self, vehicle: str) -> list[StateReport | Answer]:
        """Return what `vehicle` said, in its order."""
        with self._lock:
            return list(self._said.get(vehicle, ()))

    def templates(self, vehicle: str) -> StateTemplateList:
        with self._lock:
            return self._templates.get(vehicle, StateTemplateList(0, ()))

    def heard(self, vehicle: str, what: StateReport | Answer) -> None:
        with self._lock:
            self._said.setdefault(vehicle, []).append(what)
