"""What a vehicle signs about itself: an ECU version manifest (Uptane Standard 2.1.0, 5.4.2.1) for each ECU.

Rule 1: each report of an ECU has a counter that grows, so that none can be played twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ota.trust.model import Attack


@dataclass(frozen=True, slots=True)
class Installed:
    """The image that an ECU holds."""

    path: str
    length: int
    sha256: str
    release_counter: int = 0


@dataclass(frozen=True, slots=True)
class EcuReport:
    """What one ECU says, signed with its own key."""

    serial: str
    hardware_id: str
    installed: Installed | None  # None: it does not know
    counter: int
    time_ns: int  # the time it trusts; 0: none
    attacks: tuple[Attack, ...] = ()


@dataclass(frozen=True, slots=True)
class VehicleReport:
    """What the primary sends, signed with the vehicle's key."""

    vehicle: str
    primary: str
    ecus: tuple[EcuReport, ...]
    counter: int
    action: str = ""  # the order that this is about
    forms: tuple[str, ...] = ()  # differences that the vehicle can apply
    memory_max_bytes: int = 0  # that it may take to apply one
    rxswin: Mapping[str, str] = field(default_factory=dict)  # as readable from the vehicle
