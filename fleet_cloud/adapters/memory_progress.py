"""What campaigns have brought, in memory, for trials and tests."""

import threading
from collections.abc import Collection
from dataclasses import replace

from fleet_cloud.campaigns.ports import (
    Happened,
    Progress,
    place_of,
)
from fleet_cloud.control.ports import (
    PAGE_MAX,
)
from fleet_cloud.ingest.records import BatchKey, Collected

_Key = tuple[str, str, str]  # tenant, campaign, vehicle


class MemoryProgress:
    """Counts, and tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: dict[_Key, Progress] = {}
        self._events: dict[_Key, dict[tuple[int, int], Happened]] = {}
        self._streams: dict[_Key, dict[str, str]] = {}

    def count(self, key: BatchKey, one: Collected) -> None:
        """Count a batch that has just been settled."""
        of, part = (key.tenant, one.campaign.sync_id, key.name.vehicle), one.campaign
        with self._lock:
            events = self._events.setdefault(of, {})
            begun = sum((event.time_ns, event.id) not in events for event in part.events)
            for event in part.events:
                name = (event.time_ns, event.id)
                known = events.get(
                    name,
                    Happened(of[2], event.id, event.time_ns, 0, event.dtcs, event.dtcs_missing),
                )
                events[name] = replace(known, samples=known.samples + event.samples)
            self._streams.setdefault(of, {}).setdefault(key.name.stream, part.partition)
            before = self._progress.get(of, Progress(of[2], 0, 0, 0, 0))
            self._progress[of] = Progress(
                of[2],
                before.events + begun,
                before.samples + one.samples,
                before.received_bytes + one.received_bytes,
                one.received_time_ns,
            )

    def total(self, tenant: str, sync_id: str) -> Progress:
        some = list(self._of(tenant, sync_id).values())
        return Progress(
            "",
            sum(one.events for one in some),
            sum(one.samples for one in some),
            sum(one.received_bytes for one in some),
            max((one.last_time_ns for one in some), default=0),
        )

    def of_vehicles(
        self, tenant: str, sync_id: str, vehicles: Collection[str]
    ) -> dict[str, Progress]:
        return {n: one for n, one in self._of(tenant, sync_id).items() if n in vehicles}

    def events(
        self, tenant: str, sync_id: str, *, vehicle: str = "", before: str = "", limit: int = 100
    ) -> list[Happened]:
        with self._lock:
            some = [
                one
                for (of, campaign, _), events in self._events.items()
                if (of, campaign) == (tenant, sync_id)
                for one in events.values()
                if vehicle in ("", one.vehicle)
            ]
        newest = sorted(some, key=_place, reverse=True)
        if before:
            end = place_of(before)
            newest = [one for one in newest if _place(one) < end]
        return newest[: min(limit, PAGE_MAX)]

    def trim_events(self, tenant: str, sync_id: str, keep: int) -> None:
        newest = self.events(tenant, sync_id, limit=keep)
        with self._lock:
            for (of, campaign, _), events in self._events.items():
                if (of, campaign) == (tenant, sync_id) and len(newest) == keep:
                    for name in [name for name in events if name[0] < newest[-1].time_ns]:
                        del events[name]

    def streams(self, tenant: str, sync_id: str, vehicle: str) -> list[tuple[str, str]]:
        with self._lock:
            return sorted(self._streams.get((tenant, sync_id, vehicle), {}).items())

    def every_stream(self, tenant: str, vehicle: str) -> list[str]:
        with self._lock:
            return sorted(
                stream
                for (of, _, named), streams in self._streams.items()
                if (of, named) == (tenant, vehicle)
                for stream in streams
            )

    def _of(self, tenant: str, sync_id: str) -> dict[str, Progress]:
        with self._lock:
            return {
                vehicle: one
                for (of, campaign, vehicle), one in self._progress.items()
                if (of, campaign) == (tenant, sync_id)
            }


def _place(one: Happened) -> tuple[int, str, int]:
    return one.time_ns, one.vehicle, one.id
