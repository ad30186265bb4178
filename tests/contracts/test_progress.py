"""What counting what campaigns bring promises: once, with the ledger; in memory, SQLite and PostgreSQL."""

from dataclasses import replace

import pytest

from fairway.errors import BadInput
from fairway.ids import BatchName
from fairway.telemetry import CampaignEvent, CampaignPart
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.ports import Happened, Progress
from fleet_cloud.ingest.records import BatchKey, Claimant, Collected
from tests.contracts.test_campaigns import NOW, registry  # noqa: F401 - a fixture
from tests.postgres import postgres  # noqa: F401 - a fixture

S = 1_000_000_000
ANN = Claimant("ann", NOW, lease_ns=30 * S)
STREAM, OTHER_STREAM = "00000000000000aa", "00000000000000bb"
FIRST = CampaignEvent(1, NOW, 2, ("P0420",))
SECOND = CampaignEvent(2, NOW + S, 1, dtcs_missing="é")


def key(sequence: int, vehicle: str = "VIN1", *, stream: str = STREAM, tenant: str = "acme"):
    return BatchKey(tenant, BatchName(vehicle, stream, sequence))


def brought(*events: CampaignEvent, campaign: str = "c@1", partition: str = "", **more: int):
    part = CampaignPart(campaign, partition, events)
    samples = sum(event.samples for event in events)
    return replace(Collected(part, samples, 100, NOW), **more)  # type: ignore[arg-type]


def store(registry: Registry, collected: dict[BatchKey, Collected]) -> None:  # noqa: F811
    keys = list(collected)
    registry.ledger.claim(keys, ANN)
    registry.ledger.settle(keys, ANN, collected)


def test_nothing_is_known_of_a_campaign_that_brought_nothing(registry: Registry):  # noqa: F811
    assert registry.progress.total("acme", "c@1") == Progress("", 0, 0, 0, 0)
    assert registry.progress.of_vehicles("acme", "c@1", ["VIN1"]) == {}
    assert registry.progress.events("acme", "c@1") == []
    assert registry.progress.streams("acme", "c@1", "VIN1") == []


def test_batches_of_a_campaign_add_up_by_vehicle(registry: Registry):  # noqa: F811
    store(
        registry,
        {
            key(1): brought(FIRST, received_bytes=10),
            key(2): brought(SECOND, received_bytes=20, received_time_ns=NOW + 5 * S),
            key(1, "VIN2"): brought(FIRST, received_bytes=40),
            key(1, "VIN1", stream=OTHER_STREAM): brought(FIRST, campaign="d@1"),
            key(1, "VIN1", tenant="other"): brought(FIRST),
        },
    )
    store(registry, {key(3): brought(replace(FIRST, id=3), received_bytes=30)})

    total = registry.progress.total("acme", "c@1")
    assert (total.events, total.samples, total.received_bytes) == (4, 7, 100)
    assert total.last_time_ns == NOW + 5 * S or total.last_time_ns == NOW
    of = registry.progress.of_vehicles("acme", "c@1", ["VIN1", "VIN2", "VIN3"])
    assert of["VIN2"] == Progress("VIN2", 1, 2, 40, NOW)
    assert (of["VIN1"].events, of["VIN1"].samples, of["VIN1"].received_bytes) == (3, 5, 60)
    assert of.keys() == {"VIN1", "VIN2"}


def test_a_batch_counts_once_however_often_it_is_settled(registry: Registry):  # noqa: F811
    for _ in range(3):
        store(registry, {key(1): brought(FIRST)})
    registry.ledger.settle([key(1)], ANN, {key(1): brought(FIRST)})

    assert registry.progress.total("acme", "c@1").received_bytes == 100
    assert registry.progress.events("acme", "c@1") == [Happened("VIN1", 1, NOW, 2, ("P0420",))]


def test_a_batch_without_a_campaign_counts_nowhere(registry: Registry):  # noqa: F811
    registry.ledger.claim([key(1)], ANN)
    registry.ledger.settle([key(1)], ANN)

    assert registry.progress.total("acme", "") == Progress("", 0, 0, 0, 0)


def test_an_event_that_goes_on_in_the_next_batch_is_one_event(registry: Registry):  # noqa: F811
    store(registry, {key(1): brought(SECOND, FIRST), key(2): brought(replace(FIRST, samples=5))})
    store(registry, {key(3): brought(replace(FIRST, samples=7))})

    total = registry.progress.total("acme", "c@1")
    assert (total.events, total.samples) == (2, 15)
    assert registry.progress.events("acme", "c@1") == [
        Happened("VIN1", 2, NOW + S, 1, (), "é"),
        Happened("VIN1", 1, NOW, 14, ("P0420",)),
    ]


def test_events_are_listed_newest_first_page_by_page_and_by_vehicle(registry: Registry):  # noqa: F811
    for number, vehicle in enumerate(("VIN1", "VIN2", "VIN1", "VIN2"), 1):
        event = CampaignEvent(number, NOW + number // 2 * S, 1)
        store(registry, {key(number, vehicle): brought(event)})

    everything = registry.progress.events("acme", "c@1")
    assert [one.id for one in everything] == [4, 2, 3, 1]
    first = registry.progress.events("acme", "c@1", limit=2)
    rest = registry.progress.events("acme", "c@1", before=first[-1].place)
    assert [*first, *rest] == everything
    of_one = registry.progress.events("acme", "c@1", vehicle="VIN1")
    assert [one.id for one in of_one] == [3, 1]
    for wrong in ("x", "1/VIN1", "1//2", "1/VIN1/x"):
        with pytest.raises(BadInput):
            registry.progress.events("acme", "c@1", before=wrong)


def test_streams_are_known_with_their_partition(registry: Registry):  # noqa: F811
    store(registry, {key(1): brought(FIRST, partition="crash")})
    store(registry, {key(2): brought(FIRST, partition="crash")})
    store(registry, {key(1, stream=OTHER_STREAM): brought(FIRST)})

    assert registry.progress.streams("acme", "c@1", "VIN1") == [
        (STREAM, "crash"),
        (OTHER_STREAM, ""),
    ]
    assert registry.progress.streams("acme", "c@1", "VIN2") == []


def test_old_events_are_forgotten_while_counts_stay(registry: Registry):  # noqa: F811
    events = [CampaignEvent(number, NOW + number // 2 * S, 1) for number in range(10)]
    store(registry, {key(1): brought(*events), key(1, "VIN2"): brought(FIRST, campaign="d@1")})

    registry.progress.trim_events("acme", "c@1", 3)
    assert [one.id for one in registry.progress.events("acme", "c@1")] == [9, 8, 7, 6]
    registry.progress.trim_events("acme", "c@1", 100)
    assert len(registry.progress.events("acme", "c@1")) == 4
    assert len(registry.progress.events("acme", "d@1")) == 1
    assert registry.progress.total("acme", "c@1").events == 10
    store(registry, {key(2): brought(CampaignEvent(11, NOW + 9 * S, 1))})
    assert registry.progress.total("acme", "c@1").events == 11


def test_every_stream_of_campaigns_in_a_vehicle_is_known(registry: Registry):  # noqa: F811
    assert registry.progress.every_stream("acme", "VIN1") == []
    store(
        registry,
        {
            key(1): brought(FIRST),
            key(1, stream=OTHER_STREAM): brought(FIRST, campaign="d@1", partition="bulk"),
            key(1, "VIN2", stream="00000000000000cc"): brought(FIRST),
            key(1, stream="00000000000000dd", tenant="other"): brought(FIRST),
        },
    )

    assert registry.progress.every_stream("acme", "VIN1") == [STREAM, OTHER_STREAM]


def test_what_goes_on_and_what_begins_may_come_together(registry: Registry):  # noqa: F811
    store(registry, {key(1): brought(FIRST)})
    other = CampaignEvent(3, NOW + 2 * S, 4)
    store(
        registry,
        {
            key(2): brought(replace(FIRST, samples=5), SECOND),
            key(1, "VIN2"): brought(other, SECOND),
        },
    )

    assert registry.progress.total("acme", "c@1").events == 4
    of = registry.progress.of_vehicles("acme", "c@1", ["VIN1", "VIN2"])
    assert (of["VIN1"].events, of["VIN1"].samples) == (2, 8)
    assert (of["VIN2"].events, of["VIN2"].samples) == (2, 5)
    assert [
        (one.vehicle, one.id, one.samples) for one in registry.progress.events("acme", "c@1")
    ] == [
        ("VIN2", 3, 4),
        ("VIN2", 2, 1),
        ("VIN1", 2, 1),
        ("VIN1", 1, 7),
    ]
