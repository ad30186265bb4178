"""The engine against the naive one: random campaigns over random drives, cut at random."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.campaign.document import campaign_of
from fairway.campaign.engine import Engine
from fairway.campaign.events import Event
from fairway.campaign.functions import Answer, Invocation
from fairway.campaign.model import Campaign
from fairway.expression.campaign import Value
from tests.fairway.campaign.drives import MS, TABLE, Row, block, samples
from tests.fairway.campaign.oracle import Oracle, moments_of

ATOMS = (
    "$variable.`Speed` > 5",
    "$variable.`Speed` != 3",
    "$variable.`Door`",
    "$variable.`Gear` == 'D'",
    "$variable.`A` > $variable.`B`",
    "$variable.`C` + $variable.`A` < 9",
    "$variable.`D` == false",
    "rate($variable.`Speed`) > 20",
    "rate($variable.`A`) < 0",
    "last_window_avg($variable.`Speed`) > 4",
    "last_window_max($variable.`A`) > prev_last_window_max($variable.`A`)",
    "prev_last_window_min($variable.`Speed`) < 4",
    "held($variable.`Speed` > 4, 40 ms)",
    "held($variable.`Door`, 100 ms)",
    "held($variable.`A` < 8 && last_window_min($variable.`A`) < 5, 60 ms)",
)
ASKING = (
    "isNull($variable.`Speed`)",
    "!isNull($variable.`B`)",
    "custom_function('every', 3)",
    "custom_function('every', $variable.`C` + 1)",
    "held(isNull($variable.`Speed`), 70 ms)",
    "$variable.`Gone` > 1",
)
# Times four parts times 3.7 campaigns on average: more than 10,000 cases.
CHECKS = 720
NAMES = ("Speed", "Door", "Gear", "A", "B", "C", "D")


class Every:
    """The custom function of these tests: true at each second or third call of its campaign."""

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}

    def knows(self, campaign: Campaign, name: str) -> bool:
        return name == "every"

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        number = self._calls[invocation.sync_id] = self._calls.get(invocation.sync_id, 0) + 1
        (every,) = arguments
        assert not isinstance(every, str)
        return Answer(None if every is None else number % (3 if every > 2 else 2) == 0, {})

    def forget(self, sync_id: str) -> None:
        self._calls.pop(sync_id, None)


def random_condition(rng: random.Random, atoms: Sequence[str]) -> str:
    """Return one to three atoms in random clothes."""
    parts = [
        ("!" if rng.random() < 0.2 else "") + f"({rng.choice(atoms)})"
        for _ in range(rng.choice((1, 1, 2, 3)))
    ]
    return rng.choice((" && ", " || ")).join(parts)


def random_campaign(rng: random.Random, name: str) -> Campaign:
    """Return a campaign of any kind."""
    atoms = ATOMS if rng.random() < 0.6 else ATOMS + ASKING
    if rng.random() < 0.15:
        scheme: dict[str, Any] = {
            "timeBasedCollectionScheme": {"periodMs": rng.choice((30, 100, 333))}
        }
    else:
        condition = {
            "expression": random_condition(rng, atoms),
            "minimumTriggerIntervalMs": rng.choice((0, 0, 50, 120, 400)),
            "triggerMode": rng.choice(("ALWAYS", "RISING_EDGE")),
        }
        scheme = {"conditionBasedCollectionScheme": condition}
    document: dict[str, Any] = {
        "name": name,
        "collectionScheme": scheme,
        "postTriggerCollectionDuration": rng.choice((0, 0, 0, 30, 150)),
        "diagnosticsMode": rng.choice(("OFF", "SEND_ACTIVE_DTCS")),
        "fairway": {"windowMs": rng.choice((40, 100, 250))},
    }
    partitions = rng.random() < 0.3
    if partitions:
        document["dataPartitions"] = [
            _partition("p1", random_condition(rng, atoms)),
            _partition("p2", None),
        ]
    document["signalsToCollect"] = [
        {"name": one}
        | rng.choice(({}, {"maxSampleCount": rng.choice((1, 3))}))
        | rng.choice(({}, {}, {"minimumSamplingIntervalMs": rng.choice((7, 40))}))
        | (rng.choice(({}, {"dataPartitionId": rng.choice(("p1", "p2"))})) if partitions else {})
        for one in rng.sample(NAMES, rng.randint(0, 4))
    ]
    if rng.random() < 0.2:
        when = {
            "conditionExpression": random_condition(rng, ATOMS),
            "triggerMode": rng.choice(("ALWAYS", "RISING_EDGE")),
        }
        document["signalsToFetch"] = [
            {
                "fullyQualifiedName": "Speed",
                "signalFetchConfig": {"conditionBased": when},
                "actions": ["x"],
            }
        ]
    return campaign_of(document)


def _partition(id_: str, upload: str | None) -> dict[str, Any]:
    storage = {
        "maximumSize": {"unit": "MB", "value": 1},
        "storageLocation": "here",
        "minimumTimeToLive": {"unit": "HOURS", "value": 1},
    }
    return {"id": id_, "storageOptions": storage} | (
        {"uploadOptions": {"expression": upload}} if upload else {}
    )


def random_rows(rng: random.Random, count: int) -> list[Row]:
    """Return rows in the order they come in: frames and single rows, some of one time, some late."""
    rows: list[Row] = []
    time_ms = 0
    steps = rng.choice(((0, 0, 1, 3, 10), (0, 10), (1, 5, 50, 200)))
    while len(rows) < count:
        time_ms += rng.choice(steps)
        stamp = max(0, time_ms - (rng.choice((1, 20)) if rng.random() < 0.1 else 0))
        for name in rng.choice(
            (
                ("Speed",),
                ("Door",),
                ("Gear",),
                ("A", "B"),
                ("B", "A"),
                ("C", "D"),
                ("A",),
                ("Speed", "A"),
            )
        ):
            rows.append((name, stamp, _random_value(rng, name)))
    return rows


def _random_value(rng: random.Random, name: str) -> float | bool | str:
    if name in ("Door", "D"):
        return rng.random() < 0.5
    if name == "Gear":
        return rng.choice("PRND")
    return float("nan") if rng.random() < 0.02 else float(rng.randint(-1, 9))


def ran(
    rng: random.Random,
    campaigns: list[Campaign],
    rows: list[Row],
    offset_ms: int,
    until_ms: int,
    cuts: float,
):
    """Return what an engine makes of the rows, cut between moments with the probability `cuts`."""
    engine = Engine(TABLE, functions=Every(), columns_from=rng.choice((0, 4, 1000)))
    verdicts = engine.set_campaigns(campaigns, now_ns=0)
    assert [one.refused for one in verdicts if one.refused] == []
    events: list[Event] = []
    waiting: list[Row] = []
    for moment in moments_of(rows):
        if waiting and rng.random() < cuts:
            events += engine.take(block(waiting), offset_ns=offset_ms * MS)
            waiting = []
        drive_ns = (moment[0][1] + offset_ms) * MS
        if not waiting and rng.random() < cuts and drive_ns > engine.now_ns:
            now_ns = rng.randint(engine.now_ns, drive_ns)
            events += engine.advance(now_ns, offset_ns=offset_ms * MS)
        waiting += moment
    events += engine.take(block(waiting), offset_ns=offset_ms * MS)
    events += engine.advance(until_ms * MS, offset_ns=offset_ms * MS)
    found: dict[str, list[Any]] = {one.sync_id: [] for one in verdicts}
    for event in events:
        rows_of = {part: _comparable(samples(event, part)) for part in event.parts}
        found[event.campaign].append((event.time_ns // MS, rows_of))
    fetched = [(one.campaign, one.signal) for one in engine.fetch_requests()]
    return found, fetched, engine.open_partitions, [event.id for event in events]


def _comparable(rows: list[Row]) -> list[Row]:
    return [(name, time_ms, "nan" if value != value else value) for name, time_ms, value in rows]  # noqa: PLR0124


def check(seed: int, *, cuts: float, count: int = 22) -> int:
    """Compare engine and oracle for some random campaigns over one random drive; return how many."""
    rng = random.Random(seed)
    campaigns = [random_campaign(rng, f"c{number}") for number in range(rng.choice((1, 4, 6)))]
    rows = random_rows(rng, count)
    offset_ms = rng.choice((0, 0, 17))
    until_ms = max(time_ms for _, time_ms, _ in rows) + offset_ms + rng.choice((0, 300))

    found, fetched, open_partitions, _ = ran(rng, campaigns, rows, offset_ms, until_ms, cuts)

    for id_, campaign in zip(found, campaigns, strict=True):
        oracle = Oracle(campaign)
        oracle.run(rows, offset_ms=offset_ms, until_ms=until_ms)
        expected = [
            (wall, {part: _comparable(some) for part, some in parts.items()})
            for wall, parts in oracle.events
        ]
        assert found[id_] == expected, (seed, campaign)
        assert [name for one, name in fetched if one == id_] == oracle.fetched, (seed, campaign)
        opened = {part for one, part in open_partitions if one == id_}
        assert opened == set(oracle.open_partitions), (seed, campaign)
    return len(campaigns)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_the_engine_is_the_naive_one_however_its_rows_are_cut(part: int):
    cases = 0
    for seed in range(part * CHECKS, (part + 1) * CHECKS):
        cases += check(seed, cuts=random.Random(seed).choice((0.0, 0.05, 0.3, 1.0)))

    assert cases > 2500


@given(st.integers(0, 1 << 32), st.sampled_from((0.0, 0.1, 0.5)))
@settings(max_examples=100, deadline=None)
def test_the_engine_is_the_naive_one_where_hypothesis_looks(seed: int, cuts: float):
    check(seed, cuts=cuts, count=30)
