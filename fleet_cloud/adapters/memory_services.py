"""What services keep, in memory, for trials and tests: nothing outlives the process."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fairway.errors import Conflict
from fleet_cloud.adapters.memory_campaigns import MemoryCampaigns
from fleet_cloud.control.ports import PAGE_MAX, REPORTED_MAX, Vehicle
from fleet_cloud.services.life import State
from fleet_cloud.services.model import Kept, Said
from fleet_cloud.services.ports import Changes, KeptImage


class MemoryServices:
    """Keeps what is desired."""

    def __init__(self, plan: MemoryCampaigns) -> None:
        """`plan` has the revision that changes move on."""
        self._lock = threading.Lock()
        self._plan = plan
        self._kept: dict[tuple[str, str], tuple[int, Kept]] = {}

    def add(self, kept: Kept) -> None:
        with self._lock:
            if self._found(kept.tenant, kept.id) is not None:
                raise Conflict(
                    f"somebody else has just asked for {kept.name} there: look at it again"
                )
            self._put(kept)

    def change(self, kept: Kept) -> bool:
        with self._lock:
            known = self._found(kept.tenant, kept.id)
            if known is None or known.version != kept.version - 1:
                return False
            self._put(kept)
            return True

    def desired(self, tenants: Collection[str] | None, id_: str) -> Kept | None:
        with self._lock:
            for tenant, name in sorted(self._kept):
                if name == id_ and (tenants is None or tenant in tenants):
                    return self._found(tenant, id_)
        return None

    def all_desired(
        self,
        *,
        tenants: Collection[str] | None = None,
        name: str = "",
        after: str = "",
        limit: int = PAGE_MAX,
    ) -> list[Kept]:
        tenant, _, rest = after.partition("/")
        service, _, id_ = rest.partition("/")
        with self._lock:
            found = sorted(
                (kept for _, kept in self._kept.values() if kept.state is not State.REMOVED),
                key=_place,
            )
        some = [
            kept
            for kept in found
            if _place(kept) > (tenant, service, id_)
            and (tenants is None or kept.tenant in tenants)
            and name in ("", kept.name)
        ]
        return some[: min(limit, PAGE_MAX)]

    def service_changes(self, after: int, until: int) -> Changes:
        with self._lock:
            return Changes(tuple(kept for at, kept in self._kept.values() if after < at <= until))

    def _found(self, tenant: str, id_: str) -> Kept | None:
        known = self._kept.get((tenant, id_))
        return None if known is None or known[1].state is State.REMOVED else known[1]

    def _put(self, kept: Kept) -> None:
        self._kept[kept.tenant, kept.id] = (self._plan.step(), kept)


def _place(kept: Kept) -> tuple[str, str, str]:
    return kept.tenant, kept.name, kept.id


class MemoryServiceStatuses:
    """Keeps what vehicles say of services."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[Vehicle, Said] = {}

    def note_services(self, said: Sequence[Said], without: Collection[Vehicle]) -> None:
        with self._lock:
            for one in said:
                by_name = {status.name: status for status in one.services}
                told = tuple(by_name[name] for name in sorted(by_name))
                revision = min(one.revision, REPORTED_MAX)
                self._said[one.vehicle] = replace(one, services=told, revision=revision)
            for vehicle in without:
                self._said.pop(vehicle, None)

    def said(self, vehicle: Vehicle) -> Said | None:
        with self._lock:
            return self._said.get(vehicle)

    def with_services(self, vehicles: Collection[Vehicle]) -> set[Vehicle]:
        with self._lock:
            return {vehicle for vehicle in vehicles if vehicle in self._said}

    def of_service(
        self, tenant: str, name: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[Said]:
        with self._lock:
            found = [
                replace(one, services=tuple(s for s in one.services if s.name == name))
                for vehicle, one in sorted(self._said.items())
                if vehicle.tenant == tenant and vehicle.name > after
            ]
        return [one for one in found if one.services][: min(limit, PAGE_MAX)]

    def counts(self, tenant: str, name: str) -> Mapping[tuple[str, str], int]:
        counts: dict[tuple[str, str], int] = {}
        with self._lock:
            for vehicle, one in self._said.items():
                for status in one.services:
                    if vehicle.tenant == tenant and status.name == name:
                        key = (status.version, status.state.value)
                        counts[key] = counts.get(key, 0) + 1
        return counts


class MemoryImages:
    """Knows the images of tenants."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: dict[tuple[str, str], KeptImage] = {}

    def add_image(self, image: KeptImage) -> None:
        with self._lock:
            self._images[image.tenant, image.digest] = image

    def image(self, tenant: str, digest: str) -> KeptImage | None:
        with self._lock:
            return self._images.get((tenant, digest))

    def images(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[KeptImage]:
        tenant, _, digest = after.partition("/")
        with self._lock:
            found = [
                self._images[key]
                for key in sorted(self._images)
                if key > (tenant, digest) and (tenants is None or key[0] in tenants)
            ]
        return found[: min(limit, PAGE_MAX)]
