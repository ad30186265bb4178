"""Campaigns and samples, written short, for the tests of the engine.

run(campaign("$variable.`Speed` > 50"), at(0, Speed=10), at(100, Speed=60))   times in ms of drive time
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fairway.campaign.document import campaign_of
from fairway.campaign.engine import Engine
from fairway.campaign.events import Event
from fairway.campaign.model import Campaign
from fairway.samples import Kind, SampleBlock, Signal, SignalTable

MS = 1_000_000
# A and B come in one frame, so do C and D; the others alone.
TABLE = SignalTable(
    (
        Signal("Speed"),
        Signal("Door", Kind.BOOL),
        Signal("Gear", Kind.TEXT),
        Signal("A", group=1),
        Signal("B", group=1),
        Signal("C", group=2),
        Signal("D", Kind.BOOL, group=2),
        Signal("Cabin.Left.Heat"),
        Signal("Cabin.Right.Heat"),
        Signal("Cabin.Left.Seat.Heat"),
        Signal("Vehicle.MultiRisingEdgeTrigger", Kind.TEXT),
    )
)
Row = tuple[str, int, float | bool | str]  # signal, ms, value


def campaign(expression: str, **fields: Any) -> Campaign:
    """Return a campaign that collects Speed when `expression` triggers."""
    condition: dict[str, Any] = {"expression": expression}
    if "min_ms" in fields:
        condition["minimumTriggerIntervalMs"] = fields.pop("min_ms")
    if "mode" in fields:
        condition["triggerMode"] = fields.pop("mode")
    return campaign_of(_document({"conditionBasedCollectionScheme": condition}, fields))


def heartbeat(period_ms: int, **fields: Any) -> Campaign:
    """Return a campaign that collects Speed every `period_ms`."""
    return campaign_of(_document({"timeBasedCollectionScheme": {"periodMs": period_ms}}, fields))


def _document(scheme: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    document = {"name": "it", "collectionScheme": scheme, "signalsToCollect": [{"name": "Speed"}]}
    if "collect" in fields:
        document["signalsToCollect"] = fields.pop("collect")
    if "post_ms" in fields:
        document["postTriggerCollectionDuration"] = fields.pop("post_ms")
    return document | fields


def at(time_ms: int, **values: float | bool | str) -> list[Row]:
    """Return rows of one time."""
    return [(name, time_ms, value) for name, value in values.items()]


def block(rows: Iterable[Row], table: SignalTable = TABLE) -> SampleBlock:
    """Return rows as a block."""
    texts: dict[str, int] = {}
    listed = list(rows)
    values = [
        float(texts.setdefault(value, len(texts))) if isinstance(value, str) else float(value)
        for _, _, value in listed
    ]
    return SampleBlock(
        table,
        np.array([table.number(name) for name, *_ in listed], np.int32),
        np.array([time_ms * MS for _, time_ms, _ in listed], np.int64),
        np.array(values, np.float64),
        tuple(texts),
    )


def engine_of(*campaigns: Campaign, **given: Any) -> Engine:
    """Return an engine that runs these campaigns since drive time 0."""
    engine = Engine(TABLE, **given)
    verdicts = engine.set_campaigns(campaigns, now_ns=0)
    assert [verdict.refused for verdict in verdicts] == [None] * len(campaigns)
    return engine


def run(one: Campaign, *rows: Sequence[Row], until_ms: int | None = None) -> list[Event]:
    """Return the events of a campaign over rows, and over the time after them."""
    engine = engine_of(one)
    events = engine.take(block(row for some in rows for row in some))
    return events if until_ms is None else events + engine.advance(until_ms * MS)


def triggers_ms(events: Iterable[Event]) -> list[float]:
    """Return when the events triggered."""
    return [event.time_ns / MS for event in events]


def samples(event: Event, partition: str = "") -> list[Row]:
    """Return what an event carries of a partition."""
    return [(name, time_ns // MS, value) for name, time_ns, value in event.parts[partition].rows()]
