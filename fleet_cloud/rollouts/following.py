"""What a vehicle says of its order, and what becomes of the update in it.

    events, in whatever order and however often --> one stage          how it ended --> again, or never again

Rule 1: of what was said within an order, how it ended counts, and without an end what was said last: the same
comes out whatever came first.
Rule 2: what may work later is tried again, by the kind of failure, and only so often.
Rule 3: a version that was installed and failed is never offered to that vehicle again.
Rule 4: when the cloud has given an order up for silence, the vehicle's own word still counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fairway.clock import NS_PER_S
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.life import VEHICLE_MOVES
from fleet_cloud.rollouts.model import Retry, VehicleKept

_HOUR = 3600
_DAY = 24 * _HOUR

# Kinds that are not here are not tried again: what was installed and failed, and what somebody took back.
RETRIES: Mapping[Fault, Retry] = {
    Fault.NETWORK: Retry(tries=10, first_wait_s=300, most_wait_s=_DAY),
    Fault.BUDGET: Retry(tries=5, first_wait_s=_DAY, most_wait_s=7 * _DAY),
    Fault.STORAGE: Retry(tries=3, first_wait_s=_HOUR, most_wait_s=_DAY),
    Fault.CONDITION: Retry(tries=10, first_wait_s=_HOUR, most_wait_s=_DAY),
    Fault.CONSENT: Retry(tries=3, first_wait_s=_DAY, most_wait_s=3 * _DAY),
    Fault.TRUST: Retry(tries=3, first_wait_s=_HOUR, most_wait_s=_DAY),
    Fault.TIME: Retry(tries=2, first_wait_s=_HOUR, most_wait_s=_DAY),
}
# After these the version is bad in that vehicle.
BAD = frozenset({Fault.INSTALL, Fault.HEALTH, Fault.SAFETY})
# They say nothing about the software.
DECLINED = frozenset({Fault.CONSENT, Fault.CANCELLED})
# The sentence of an order that was given up for silence; the sequence stays that of the last event.
SILENT = "nothing was heard of it any more"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event makes of a vehicle's update."""

    kept: VehicleKept
    is_bad: bool = False  # this version must never be offered to this vehicle again
    said: Stage | None = None  # as the vehicle said it, where it is tried again


def followed(kept: VehicleKept, event: UpdateEvent, now_ns: int) -> VehicleKept | None:
    """Return how the update stands after an event of its order, None when that changes nothing."""
    if event.action != kept.action or event.ecu:
        return None
    was_silent = kept.stage is Stage.FAILED and kept.sentence == SILENT
    if was_silent and event.stage.is_final:
        return _at(kept, event, now_ns)
    if event.stage not in VEHICLE_MOVES[kept.stage]:
        return None
    if not event.stage.is_final and event.sequence <= kept.sequence:
        return None
    return _at(kept, event, now_ns)


def settled(
    kept: VehicleKept, retries: Mapping[Fault, Retry], now_ns: int, *, may_retry: bool
) -> Outcome:
    """Return what becomes of an update that has just ended: tried again later, over, or never again."""
    fault = kept.fault
    is_failed = kept.stage in (Stage.FAILED, Stage.ROLLED_BACK)
    is_bad = is_failed and (fault in BAD or (fault is None and kept.stage is Stage.ROLLED_BACK))
    retry = {**RETRIES, **retries}.get(fault) if fault else None
    if not is_failed or is_bad or retry is None or not may_retry or kept.attempt > retry.tries:
        return Outcome(kept, is_bad)
    wait_s = min(retry.first_wait_s * 2 ** (kept.attempt - 1), retry.most_wait_s)
    again = replace(
        kept,
        stage=Stage.PLANNED,
        attempt=kept.attempt + 1,
        not_before_ns=now_ns + wait_s * NS_PER_S,
        sequence=-1,
    )
    return Outcome(again, said=kept.stage)


def _at(kept: VehicleKept, event: UpdateEvent, now_ns: int) -> VehicleKept:
    return replace(
        kept,
        stage=event.stage,
        sequence=event.sequence,
        fault=event.fault,
        sentence=event.sentence,
        changed_time_ns=now_ns,
    )
