"""The nouns of trust: what a vehicle is, what it may be told to install, and why it refuses.

files of two repositories + what is trusted already --refresh--> a Plan, nothing new, or a Refusal
"""

from dataclasses import dataclass
from enum import StrEnum

from ota.manifest import Image


class Repository(StrEnum):
    """The two repositories of Uptane."""

    DIRECTOR = "director"  # says which vehicle installs what; its keys are online
    IMAGE = "image"  # says which images there are; its keys are offline


class Attack(StrEnum):
    """What a refusal looks like (Uptane Standard 2.1.0, 4.3); told in the next report."""

    ARBITRARY_SOFTWARE = (
        "arbitrary_software"  # a signature, a threshold, or the two repositories disagree
    )
    ENDLESS_DATA = "endless_data"
    FREEZE = "freeze"  # expired
    METADATA_ROLLBACK = "metadata_rollback"
    IMAGE_ROLLBACK = "image_rollback"  # a release counter that is lower
    MIX_AND_MATCH = "mix_and_match"
    PARTIAL_BUNDLE = "partial_bundle"
    SLOW_RETRIEVAL = "slow_retrieval"
    DROP_REQUEST = "drop_request"
    WRONG_ECU = "wrong_ecu"  # an ECU that is not here, or hardware that the image is not for
    TIME = "time"  # no time that can be trusted
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is installed."""

    attack: Attack
    where: str  # the file or the target: "director/targets.json"
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence} ({self.attack})"


@dataclass(frozen=True, slots=True)
class UpToDate:
    """All metadata holds, and the Director lists no image for this vehicle."""

    action: str
    director_version: int


@dataclass(frozen=True, slots=True)
class Ecu:
    """An ECU of this vehicle."""

    serial: str
    hardware_id: str


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Whom the metadata must be for."""

    id: str
    primary: str  # the serial of the ECU that verifies for all
    ecus: tuple[Ecu, ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    """An image for an ECU, on which both repositories agree."""

    ecu: Ecu
    image: Image
    is_downgrade: bool = (
        False  # signed on purpose: the release counter may fall, in this vehicle alone
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What the vehicle is to hold."""

    action: str  # names the order: correlationId in the Director's custom data; "" without one
    assigned: tuple[Assigned, ...]
    director_version: int  # of the Director's targets


@dataclass(frozen=True, slots=True)
class Wanted:
    """A metadata file to fetch; the answer is its bytes, or None when there is none."""

    repository: Repository
    name: str  # as it is asked for: "3.root.json", "timestamp.json", "7.supplier.json"
    max_bytes: int
