"""What FleetWise's agents send, as nouns; fairway.wire.fleetwise turns them into bytes.

    VehicleData    an event of a campaign, or a part of one: samples as columns
    Checkin        which documents an agent has
    StateData      last known values

Rule 1: times are milliseconds, as FleetWise has them; what leaves for our own parts is in nanoseconds.
Rule 2: signals are numbers of a decoder manifest; names are given by whoever knows it (names.py).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class VehicleData:
    """One payload.  `value` of a row that `is_text` is a position in `texts`."""

    campaign_sync_id: str
    decoder_sync_id: str
    event_id: int
    event_time_ms: int
    signal_id: NDArray[np.int64]
    relative_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    is_text: NDArray[np.bool_]
    texts: tuple[str, ...] = ()
    dtcs: tuple[str, ...] = ()
    dtcs_relative_ms: int = 0
    object_keys: tuple[str, ...] = ()  # of what was stored elsewhere
    structured: int = 0  # samples inside of structured signals, which are not read

    def __len__(self) -> int:
        return len(self.signal_id)


@dataclass(frozen=True, slots=True)
class Checkin:
    """Which documents an agent has: campaigns, the decoder manifest, state templates."""

    sync_ids: tuple[str, ...]
    time_ms: int


@dataclass(frozen=True, slots=True)
class StateSample:
    """A last known value."""

    signal_id: int
    value: float | bool | str


@dataclass(frozen=True, slots=True)
class CapturedState:
    """The last known values of one template."""

    sync_id: str
    values: tuple[StateSample, ...]


@dataclass(frozen=True, slots=True)
class StateData:
    """Last known values at a time."""

    time_ms: int
    states: tuple[CapturedState, ...]


@dataclass(frozen=True, slots=True)
class StateTemplate:
    """Signals whose last values the cloud is told."""

    sync_id: str
    signal_ids: tuple[int, ...]
    period_ms: int = 0  # 0: on change


@dataclass(frozen=True, slots=True)
class StateTemplateChange:
    """What changes about an agent's templates; a version that is not newer is ignored by it."""

    version: int
    decoder_sync_id: str
    added: tuple[StateTemplate, ...] = ()
    removed: tuple[str, ...] = ()
