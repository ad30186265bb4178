"""The nouns of hawkBit's clients and of those who assign software to them.

    a module (files) > a set of modules --assigned to a target--> an assignment: an order of its vehicle

Rule 1: a target is a vehicle of the fleet: what stands here is what hawkBit's words add to it.
Rule 2: of a token its hash is kept; the token itself only sealed, and only where the operator wants it shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fairway.update import UpdateEvent
from ota.manifest import Bundle, Image

# Attributes of a target, as hawkBit limits them.
ATTRIBUTES_MAX = 100
ATTRIBUTE_MAX_CHARS = 128
# Messages of an order that are kept, the newest; hawkBit keeps as many.
EVENTS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Hashes:
    """A file by all names that clients know; MD5 and SHA-1 are for them, and prove nothing here."""

    sha256: str
    sha1: str
    md5: str
    length: int


@dataclass(frozen=True, slots=True)
class AutoConfirm:
    """Whoever said that orders need not be confirmed one by one."""

    initiator: str
    remark: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of a vehicle as a target of hawkBit."""

    vehicle: str
    name: str = ""
    token_sha256: str = ""  # "": it has none, and cannot show one
    token_sealed: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    wants_attributes: bool = True
    auto_confirm: AutoConfirm | None = None
    confirmed: str = ""  # the order that was confirmed last
    reported: tuple[str, str] | None = (
        None  # name and version that it says it has, without an order
    )
    seen_time_ns: int = 0
    created_time_ns: int = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a module."""

    number: int
    filename: str
    hashes: Hashes


@dataclass(frozen=True, slots=True)
class Module:
    """A piece of software with its files."""

    number: int
    name: str
    version: str
    type: str  # hawkBit's word: os, application ...
    description: str = ""
    artifacts: tuple[Artifact, ...] = ()
    created_time_ns: int = 0
    is_deleted: bool = False  # its number stays its own, and orders that were given still show it


@dataclass(frozen=True, slots=True)
class ModuleSet:
    """Modules that are assigned together: hawkBit's distribution set."""

    number: int
    name: str
    version: str
    type: str
    description: str = ""
    modules: tuple[int, ...] = ()
    created_time_ns: int = 0


@dataclass(frozen=True, slots=True)
class InstalledSet:
    """What a client installed last, so that it can be asked for again."""

    action: str
    bundle: Bundle
    images: tuple[Image, ...]
    time_ns: int


class Mode(StrEnum):
    """How an order is to be done."""

    FORCED = "forced"
    SOFT = "soft"  # the device chooses its time
    TIMEFORCED = "timeforced"  # soft until a moment, forced from then on
    DOWNLOAD_ONLY = "downloadonly"


@dataclass(frozen=True, slots=True)
class Window:
    """When an order may be installed: from each moment of a schedule, for so long."""

    schedule: str  # a cron expression of Quartz: windows.py
    duration_s: int
    offset_s: int = 0  # of the schedule's time from UTC


@dataclass(frozen=True, slots=True)
class Assignment:
    """An order to one vehicle that was given by hand, without a rollout."""

    action: str
    vehicle: str
    set_number: int
    bundle: Bundle
    images: tuple[Image, ...]
    mode: Mode = Mode.FORCED
    forced_from_ns: int = 0  # of TIMEFORCED
    window: Window | None = None
    needs_consent: bool = False
    is_cancelled: bool = False
    is_open: bool = True  # nothing more is expected of it otherwise
    events: tuple[UpdateEvent, ...] = ()
    assigned_by: str = ""
    assigned_time_ns: int = 0
