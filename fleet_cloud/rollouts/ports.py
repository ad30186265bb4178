"""What doors to vehicles need of updates, whichever protocol they speak.

Uptane (ours): Director, Ecus, Offers    hawkBit DDI, AWS IoT Jobs: Offers

Rule 1: an offer is the same whoever asks for it: a rollout does not know which protocol carries it.
Rule 2: what a vehicle says is believed for that vehicle alone: doors say who speaks, and they have checked it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from fairway.update import UpdateEvent
from ota.manifest import Bundle, Image


@dataclass(frozen=True, slots=True)
class Offer:
    """What a vehicle is to install now."""

    action: str
    rollout: str
    bundle: Bundle
    images: tuple[Image, ...]  # those for this vehicle
    needs_consent: bool = False
    is_cancelled: bool = False  # it is to be given up; said until the vehicle has answered
    window_open: bool = True  # false: fetch, and do not install yet
    is_forced: bool = True  # false: the vehicle may choose its time
    has_window: bool = False  # it may be installed at some times only; window_open says whether now
    is_download_only: bool = False  # to be fetched and kept: the order to install it is another one


class Offers(Protocol):
    """Knows what each vehicle is to install.  Contract: tests/contracts/test_offers.py."""

    def offer(self, tenant: str, vehicle: str, now_ns: int) -> Offer | None:
        """Return what a vehicle is to install, None for nothing.  Raises Unavailable."""
        ...

    def tell(self, tenant: str, vehicle: str, events: Sequence[UpdateEvent], now_ns: int) -> None:
        """Take what a vehicle says of its order; known and foreign ones change nothing.  Raises Unavailable."""
        ...

    def history(self, tenant: str, vehicle: str, action: str) -> tuple[UpdateEvent, ...]:
        """Return what was said of an order, in order.  Raises Unavailable."""
        ...


class Director(Protocol):
    """The Director repository of Uptane, a vehicle at a time.  Contract: tests/contracts/test_director.py."""

    def file(self, tenant: str, vehicle: str, name: str, now_ns: int) -> bytes | None:
        """Return a metadata file ("2.root.json", "timestamp.json", "5.targets.json"), None when there is none.

        What the vehicle has to hold is signed anew when it has changed, and before it expires.

        Raises Unavailable.
        """
        ...

    def report(
        self,
        tenant: str,
        vehicle: str,
        signed: bytes,
        now_ns: int,
        identity: ec.EllipticCurvePublicKey | None = None,
    ) -> None:
        """Take a signed report of a vehicle and its ECUs.

        `identity` is the key by which the connection proved that it is this vehicle: its certificate's.  It
        signs for the primary, unless the primary was registered with a key of its own.

        Raises BadInput for what is none, Tampered for a signature or a counter that does not hold (kept as
        evidence), Unavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class RegisteredEcu:
    """An ECU as a vehicle, or its maker, made it known."""

    serial: str
    hardware_id: str
    public_key: str = ""  # PEM; "": the primary signs for it
    is_primary: bool = False


class Ecus(Protocol):
    """Knows the ECUs of vehicles.  Contract: tests/contracts/test_director.py."""

    def register(
        self, tenant: str, vehicle: str, ecus: Sequence[RegisteredEcu], now_ns: int
    ) -> None:
        """Make the ECUs of a vehicle known; the same again changes nothing.

        Others than were known wait until a person accepts them, and until then nothing is offered.

        Raises BadInput for a list that cannot be, Conflict when it waits to be accepted, Unavailable.
        """
        ...

    def ecus(self, tenant: str, vehicle: str) -> tuple[RegisteredEcu, ...]:
        """Return those that are known and accepted, in order of serial.  Raises Unavailable."""
        ...


class ImageRepository(Protocol):
    """The Image repository of Uptane of each tenant.  Contract: tests/contracts/test_image_repository.py."""

    def file(self, tenant: str, name: str) -> bytes | None:
        """Return a metadata file as it was published, None when there is none.  Raises Unavailable."""
        ...

    def publish(self, tenant: str, files: dict[str, bytes], now_ns: int) -> None:
        """Take new metadata as a whole, after verifying it as a vehicle would.

        Raises Tampered or BadInput for what does not hold (nothing is taken), Conflict when another was faster.
        """
        ...

    def images(self, tenant: str) -> tuple[Image, ...]:
        """Return all images that may be installed.  Raises Unavailable."""
        ...
