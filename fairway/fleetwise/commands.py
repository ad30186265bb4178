"""Commands to FleetWise's agents, and their answers, as nouns.

Rule 1: an answer is `fairway.control.Answer`: its states and reason codes are FleetWise's.
"""

from dataclasses import dataclass
from typing import TypeAlias

from fairway.control import ActivateState, DeactivateState, SnapshotState
from fairway.fleetwise.decoders import Primitive

StateOperation: TypeAlias = ActivateState | DeactivateState | SnapshotState


@dataclass(frozen=True, slots=True)
class Actuate:
    """Set an actuator."""

    signal_id: int
    decoder_sync_id: str
    value: float | bool | str
    primitive: Primitive = Primitive.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command; `template` of its operations is the sync id of a state template."""

    id: str
    what: Actuate | tuple[StateOperation, ...]
    issued_time_ms: int
    timeout_ms: int = 0  # 0: for ever
