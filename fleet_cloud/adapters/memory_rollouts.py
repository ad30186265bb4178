"""What doors of updates stand on, in memory, for trials and tests: nothing outlives the process."""

import threading
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from fairway.errors import BadInput, Conflict
from fairway.update import UpdateEvent
from fleet_cloud.rollouts.ports import Offer, RegisteredEcu
from ota.manifest import Image


class MemoryOffers:
    """Offers that are put here by hand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[tuple[str, str], Offer] = {}
        self._said: dict[tuple[str, str, str], dict[int, UpdateEvent]] = {}

    def put(self, tenant: str, vehicle: str, offer: Offer | None) -> None:
        """Have a vehicle install something, or (None) nothing any more."""
        with self._lock:
            self._offers.pop((tenant, vehicle), None)
            if offer is not None:
                self._offers[tenant, vehicle] = offer
                self._said.setdefault((tenant, vehicle, offer.action), {})

    def offer(self, tenant: str, vehicle: str, now_ns: int) -> Offer | None:  # noqa: ARG002 - the port's
        with self._lock:
            return self._offers.get((tenant, vehicle))

    def tell(self, tenant: str, vehicle: str, events: Sequence[UpdateEvent], now_ns: int) -> None:  # noqa: ARG002
        with self._lock:
            for event in events:
                said = self._said.get((tenant, vehicle, event.action))
                if said is None or event.sequence in said:
                    continue
                said[event.sequence] = event
                offer = self._offers.get((tenant, vehicle))
                is_over = event.stage.is_final and not event.ecu
                if is_over and offer is not None and offer.action == event.action:
                    del self._offers[tenant, vehicle]

    def history(self, tenant: str, vehicle: str, action: str) -> tuple[UpdateEvent, ...]:
        with self._lock:
            said = self._said.get((tenant, vehicle, action), {})
            return tuple(said[number] for number in sorted(said))


class MemoryDirector:
    """A Director whose files are put here by hand, and that keeps reports as they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str, str], bytes] = {}
        self._ecus: dict[tuple[str, str], tuple[RegisteredEcu, ...]] = {}
        self.reports: list[tuple[str, str, bytes]] = []

    def put(self, tenant: str, vehicle: str, files: dict[str, bytes]) -> None:
        """Have a vehicle find these files."""
        with self._lock:
            self._files |= {(tenant, vehicle, name): data for name, data in files.items()}

    def file(self, tenant: str, vehicle: str, name: str, now_ns: int) -> bytes | None:  # noqa: ARG002
        with self._lock:
            return self._files.get((tenant, vehicle, name))

    def report(
        self,
        tenant: str,
        vehicle: str,
        signed: bytes,
        now_ns: int,  # noqa: ARG002
        identity: ec.EllipticCurvePublicKey | None = None,  # noqa: ARG002
    ) -> None:
        if not signed.startswith(b"{"):
            raise BadInput("the report is not JSON")
        with self._lock:
            self.reports.append((tenant, vehicle, signed))

    def register(
        self,
        tenant: str,
        vehicle: str,
        ecus: Sequence[RegisteredEcu],
        now_ns: int,  # noqa: ARG002
    ) -> None:
        some = tuple(sorted(ecus, key=lambda one: one.serial))
        with self._lock:
            known = self._ecus.setdefault((tenant, vehicle), some)
            if known != some:
                raise Conflict(f"{vehicle} had other ECUs before: somebody has to accept these")

    def ecus(self, tenant: str, vehicle: str) -> tuple[RegisteredEcu, ...]:
        with self._lock:
            return self._ecus.get((tenant, vehicle), ())


class MemoryImageRepository:
    """Metadata and images that are put here by hand; whoever publishes is believed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str], bytes] = {}
        self._images: dict[str, dict[str, Image]] = {}

    def put(self, tenant: str, *images: Image) -> None:
        """List images."""
        with self._lock:
            self._images.setdefault(tenant, {}).update({image.path: image for image in images})

    def withdraw(self, tenant: str, *paths: str) -> None:
        """List images no more."""
        with self._lock:
            for path in paths:
                self._images.get(tenant, {}).pop(path, None)

    def file(self, tenant: str, name: str) -> bytes | None:
        with self._lock:
            return self._files.get((tenant, name))

    def publish(self, tenant: str, files: dict[str, bytes], now_ns: int) -> None:  # noqa: ARG002
        with self._lock:
            self._files |= {(tenant, name): data for name, data in files.items()}

    def images(self, tenant: str) -> tuple[Image, ...]:
        with self._lock:
            return tuple(self._images.get(tenant, {}).values())
