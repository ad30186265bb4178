"""What services need of the world: somewhere durable for what is desired, what vehicles say, and images.

Rule 1: whatever changes what is desired moves the plan's revision on: control/ports.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fleet_cloud.control.ports import PAGE_MAX, Vehicle
from fleet_cloud.services.model import Kept, Said


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after a revision of the plan."""

    services: tuple[Kept, ...] = ()  # removed ones too


class Desired(Protocol):
    """Keeps what is desired.  Contract: tests/contracts/test_services.py."""

    def add(self, kept: Kept) -> None:
        """Keep something new.  Raises Conflict when somebody was quicker, Unavailable."""
        ...

    def change(self, kept: Kept) -> bool:
        """Put `kept`, whose version is one above the one it was made from, in that one's place.

        False: somebody else has changed it since.  Raises Unavailable.
        """
        ...

    def desired(self, tenants: Collection[str] | None, id_: str) -> Kept | None:
        """Return what is desired, of `tenants` (None: of any), and not removed.  Raises Unavailable."""
        ...

    def all_desired(
        self,
        *,
        tenants: Collection[str] | None = None,
        name: str = "",
        after: str = "",
        limit: int = PAGE_MAX,
    ) -> list[Kept]:
        """Return what is desired of `tenants` (None: of all) in order of tenant, service and id.

        `name` is of one service, "" for all; `after` is `<tenant>/<service>/<id>` of the one to go on behind.
        Raises Unavailable.
        """
        ...


class Following(Protocol):
    """Tells what changed.  Contract: tests/contracts/test_services.py."""

    def service_changes(self, after: int, until: int) -> Changes:
        """Return what changed after one revision of the plan (0: everything) and until another.

        Raises Unavailable.
        """
        ...


class DesiredKeeper(Desired, Following, Protocol):
    """All that is desired."""


class Statuses(Protocol):
    """Keeps what vehicles say of their services.  Contract: tests/contracts/test_services.py."""

    def note_services(self, said: Sequence[Said], without: Collection[Vehicle]) -> None:
        """Replace what each vehicle said before; those `without` run no services.  Raises Unavailable."""
        ...

    def said(self, vehicle: Vehicle) -> Said | None:
        """Return what a vehicle said last; None: that it runs no services, or nothing yet.

        Raises Unavailable.
        """
        ...

    def with_services(self, vehicles: Collection[Vehicle]) -> set[Vehicle]:
        """Return those that said that they run services.  Raises Unavailable."""
        ...

    def of_service(
        self, tenant: str, name: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[Said]:
        """Return the vehicles that told of a service, each with that status alone, in order of id.

        Raises Unavailable.
        """
        ...

    def counts(self, tenant: str, name: str) -> Mapping[tuple[str, str], int]:
        """Return how many vehicles told of each version and state of a service.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image that a tenant has pushed: its manifest, and everything that it names."""

    tenant: str
    digest: str  # sha256:... of the manifest
    parts: tuple[str, ...]  # digests of configuration and layers
    size_bytes: int  # of all of it, as it travels
    platform: str  # as linux/amd64
    name: str  # as it was called where it came from; "": not at all
    pushed_by: str
    pushed_time_ns: int


class Images(Protocol):
    """Knows the images of tenants.  Contract: tests/contracts/test_service_images.py."""

    def add_image(self, image: KeptImage) -> None:
        """Note an image, or what is new of it; its parts are the tenant's from now on.  Raises Unavailable."""
        ...

    def image(self, tenant: str, digest: str) -> KeptImage | None:
        """Return an image of a tenant.  Raises Unavailable."""
        ...

    def images(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[KeptImage]:
        """Return images in order of tenant and digest; `after` is `<tenant>/<digest>`.  Raises Unavailable."""
        ...
