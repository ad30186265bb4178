"""What a dry run says: what a campaign would do on some drives, and what a vehicle makes of it in a month.

    drives  >  Prediction (triggers, samples, bytes by partition)  >  Month (the same by the hours driven, cost)

Rule 1: sums are of whole drives, so predictions of several vehicles add up.
Rule 2: what no drive can tell is a note; what is wrong with the campaign itself is a warning, or a refusal.
Rule 3: vehicle and cloud say the same of it, to machines and to people: it is made here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairway.campaign.model import Budget

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What turns drives into months and money."""

    hours_per_month: float = 30.0  # how long a vehicle is driven
    price_per_mb: float = 0.0  # of 1,000,000 bytes
    max_request_bytes: int = 131_072  # as the agent's telemetry.batch_max_bytes


@dataclass(slots=True)
class Lane:
    """What became of the events of one partition; "" is what a campaign sends at once."""

    sent_bytes: int = 0
    waiting_bytes: int = 0  # for the partition's condition, when the last drive ended
    dropped_bytes: int = 0  # too much, or too old, for the partition
    held_back_bytes: int = 0  # by the budget, when the last drive ended

    def plus(self, other: "Lane") -> "Lane":
        """Return the sum of two vehicles."""
        return Lane(
            self.sent_bytes + other.sent_bytes,
            self.waiting_bytes + other.waiting_bytes,
            self.dropped_bytes + other.dropped_bytes,
            self.held_back_bytes + other.held_back_bytes,
        )


@dataclass(frozen=True, slots=True)
class Month:
    """What one vehicle does in a month."""

    triggers: float
    samples: float
    megabytes: float
    cost: float


@dataclass(slots=True)
class Prediction:
    """What one campaign would do, over all drives."""

    campaign: str
    sync_id: str
    budget: Budget = field(default_factory=Budget)
    refused: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # why what is sent may be something else
    drives: int = 0
    drive_s: float = 0.0
    triggers: int = 0  # events with something to send
    trigger_times_ns: list[int] = field(default_factory=list)
    samples: int = 0
    batches: int = 0
    bytes: int = 0  # of all requests
    lost_samples: int = 0  # of events that are more than a request can hold
    fetches: int = 0
    lanes: dict[str, Lane] = field(default_factory=dict)

    @property
    def sent_bytes(self) -> int:
        """How much leaves the vehicle on these drives."""
        return sum(lane.sent_bytes for lane in self.lanes.values())

    def per_month(self, assumptions: Assumptions) -> Month:
        """Return what a vehicle makes of it in a month; it sends no more than its budget allows."""
        hours = self.drive_s / 3600.0
        factor = assumptions.hours_per_month / hours if hours else 0.0
        sent_bytes = self.sent_bytes * factor
        budget = self.budget
        if budget.max_bytes is not None:
            sent_bytes = min(sent_bytes, budget.max_bytes)
        if budget.max_bytes_per_day is not None:
            sent_bytes = min(sent_bytes, budget.max_bytes_per_day * MONTH_DAYS)
        megabytes = sent_bytes / 1e6
        cost = megabytes * assumptions.price_per_mb
        return Month(self.triggers * factor, self.samples * factor, megabytes, cost)


def added(predictions: Sequence[Prediction]) -> Prediction:
    """Return the sum of what one campaign does in several vehicles; of none is no sum.

    It is refused when each vehicle refuses it.
    """
    first = predictions[0]
    lanes: dict[str, Lane] = {}
    for one in predictions:
        for name, lane in one.lanes.items():
            lanes[name] = lanes.get(name, Lane()).plus(lane)
    return Prediction(
        first.campaign,
        first.sync_id,
        first.budget,
        refused=first.refused if all(one.refused for one in predictions) else "",
        warnings=_once(one.warnings for one in predictions),
        notes=_once(one.notes for one in predictions),
        drives=sum(one.drives for one in predictions),
        drive_s=sum(one.drive_s for one in predictions),
        triggers=sum(one.triggers for one in predictions),
        trigger_times_ns=sorted(at for one in predictions for at in one.trigger_times_ns),
        samples=sum(one.samples for one in predictions),
        batches=sum(one.batches for one in predictions),
        bytes=sum(one.bytes for one in predictions),
        lost_samples=sum(one.lost_samples for one in predictions),
        fetches=sum(one.fetches for one in predictions),
        lanes=lanes,
    )


def prediction_json(prediction: Prediction, assumptions: Assumptions) -> dict[str, Any]:
    """Return a prediction as JSON has it."""
    month = prediction.per_month(assumptions)
    return {
        "campaign": prediction.campaign,
        "sync_id": prediction.sync_id,
        "refused": prediction.refused or None,
        "warnings": list(prediction.warnings),
        "notes": list(prediction.notes),
        "drives": prediction.drives,
        "drive_s": round(prediction.drive_s, 3),
        "triggers": prediction.triggers,
        "trigger_times_ns": prediction.trigger_times_ns,
        "samples": prediction.samples,
        "batches": prediction.batches,
        "bytes": prediction.bytes,
        "lost_samples": prediction.lost_samples,
        "fetches": prediction.fetches,
        "partitions": {
            name: {
                "sent_bytes": lane.sent_bytes,
                "waiting_bytes": lane.waiting_bytes,
                "dropped_bytes": lane.dropped_bytes,
                "held_back_bytes": lane.held_back_bytes,
            }
            for name, lane in prediction.lanes.items()
        },
        "month": {
            "hours": assumptions.hours_per_month,
            "triggers": round(month.triggers, 1),
            "samples": round(month.samples, 1),
            "megabytes": round(month.megabytes, 6),
            "cost": round(month.cost, 6),
        },
    }


def prediction_text(prediction: Prediction, assumptions: Assumptions, currency: str = "") -> str:
    """Return a prediction as people read it."""
    lines = [f"{prediction.campaign}"]
    if prediction.refused:
        lines.append(f"  refused: {prediction.refused}")
    else:
        drives = "1 drive" if prediction.drives == 1 else f"{prediction.drives} drives"
        seen = f"on {drives} ({prediction.drive_s / 3600:.3g} h): {prediction.triggers:,} triggers"
        made = f"{prediction.bytes:,} bytes in {prediction.batches:,} batches"
        lines += [
            f"  {seen}, {prediction.samples:,} samples, {made}",
            _month_text(prediction.per_month(assumptions), assumptions, currency),
        ]
    if prediction.fetches:
        lines.append(f"  {prediction.fetches:,} fetches would be made")
    lines += [
        f"  {f'partition {name}' if name else 'at once'}: {_lane_text(lane)}"
        for name, lane in prediction.lanes.items()
        if name or lane.held_back_bytes
    ]
    if prediction.lost_samples:
        lines.append(
            f"  {prediction.lost_samples:,} samples lost: more in an event than a batch holds"
        )
    said = (*prediction.warnings, *prediction.notes)
    return "\n".join(lines + [f"  note: {sentence}" for sentence in said])


def _lane_text(lane: Lane) -> str:
    return (
        f"{lane.sent_bytes:,} bytes sent, {lane.waiting_bytes:,} wait in the vehicle,"
        f" {lane.dropped_bytes:,} dropped, {lane.held_back_bytes:,} held back by the budget"
    )


def _month_text(month: Month, assumptions: Assumptions, currency: str) -> str:
    cost = f", costs {month.cost:.2f} {currency}".rstrip() if assumptions.price_per_mb else ""
    return (
        f"  a vehicle-month of {assumptions.hours_per_month:g} h: {month.triggers:,.0f} triggers, "
        f"{month.samples:,.0f} samples, {month.megabytes:,.3f} MB{cost}"
    )


def _once(some: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for texts in some for text in texts))
