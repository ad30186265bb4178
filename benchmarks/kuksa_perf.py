"""KUKSA's own benchmark, kuksa-perf, played to the on-board door: its group files, its loop, its values.

    every cycle of a group   provider --OpenProviderStream--> door --SubscribeById--> subscriber
    actuators                client   --BatchActuate-------> door --OpenProviderStream--> provider

As in its `measure.rs`, all groups run at once over one connection of providers and one of subscribers; a group
sends the values of all its signals together, waits until each has arrived, and then for its next cycle.  The
latency is that of a signal, from before the send to the arrival.  A cycle of 0 ms is as fast as it goes.

Its README has figures for two runs: 55 signals in ten groups, and 101 signals as fast as they go (it does not
say in which groups: here in one).  They are of another machine, and of programs in Rust on both sides; so there
is the minimal broker in the same run.  Values repeat after 128 cycles, and are made before they are sent.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._doors import VAL, Broker, broker, channel
from benchmarks._kuksa_ends import Actuated, Published
from benchmarks.report import Row
from edge_agent.adapters.kuksa_values import fill, member_of
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FAIRWAY_SHARED_DATA", ROOT.parent / "shared" / "data"))
GROUPS = SHARED / "edge/kuksa_perf"
# The one that has all of their signals: kuksa-perf's own choice.
CATALOGUE = SHARED / "edge/vss/vss_release_4.0.json"

ROUNDS = 2
SKIPPED_S = 0.2
VARIANTS = 128
WAIT_S = 3.0  # what has not arrived by then is lost
UNPACED_SIGNALS = 101
KUKSA_SIGNALS_S = 83_935
KUKSA_TEN_GROUPS = "KUKSA's figures 0.132, 0.253 ms"
KUKSA_UNPACED = f"KUKSA's figures {KUKSA_SIGNALS_S:,}/s, 0.199, 1.205 ms"


@dataclass(frozen=True, slots=True)
class Group:
    """Signals that are sent together."""

    name: str
    cycle_s: float
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is played, for how long, and how the row about it begins."""

    what: str
    groups: tuple[Group, ...]
    seconds: float
    published: str = ""
    is_actuation: bool = False

    @property
    def signals(self) -> int:
        return sum(len(group.paths) for group in self.groups)

    @property
    def due_s(self) -> float:
        """Values a second, if every cycle is kept."""
        return sum(len(group.paths) / group.cycle_s for group in self.groups if group.cycle_s)


@dataclass(slots=True)
class Outcome:
    """What arrived: by group, the latency of each value."""

    seconds: float
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0

    @property
    def rate(self) -> float:
        return sum(map(len, self.took_ms.values())) / self.seconds

    def percentile(self, percent: float) -> float:
        together = [took for group in self.took_ms.values() for took in group]
        return float(np.percentile(together, percent)) if together else float("inf")

    def slowest(self) -> tuple[str, float]:
        """Return the group with the highest 99th percentile."""
        each = {name: float(np.percentile(took, 99)) for name, took in self.took_ms.items() if took}
        return max(each.items(), key=lambda item: item[1]) if each else ("", float("inf"))


def groups_of(path: Path) -> tuple[Group, ...]:
    """Read a group file of kuksa-perf."""
    return tuple(
        Group(
            one["group_name"],
            one["cycle_time_ms"] / 1000,
            tuple(signal["path"] for signal in one["signals"]),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))["groups"]
    )


def run() -> list[Row]:
    """Play every group file, and the 101 signals, to ours and to the peer in turn."""
    return asyncio.run(_run())


async def _run() -> list[Row]:
    async with (
        broker("ours", catalogue=CATALOGUE) as ours,
        broker("minimal", catalogue=CATALOGUE) as minimal,
    ):
        known = await _metadata(ours)
        rows = []
        for workload in _workloads(known):
            rounds: dict[Broker, list[Outcome]] = {ours: [], minimal: []}
            for _ in range(ROUNDS):
                for where, outcomes in rounds.items():
                    outcomes.append(await _play(where, workload, known))
            rows += _rows(workload, rounds[ours], rounds[minimal])
    return rows


def _workloads(known: dict[str, types_pb2.Metadata]) -> list[Workload]:
    plain = {*INTEGER_RANGES, *FLOAT_RANGES, "boolean"}
    sensors = [path for path, one in known.items() if _datatype(one) in plain and _is_sensor(one)]
    return [
        *(
            Workload(
                f"kuksa-perf sensors_data_group_{number}",
                groups_of(GROUPS / f"sensors_data_group_{number}.json"),
                2.0 if number == 10 else 1.0,
                KUKSA_TEN_GROUPS if number == 10 else "",
            )
            for number in (1, 2, 3, 10)
        ),
        Workload(
            "kuksa-perf actuators_data_group_1",
            groups_of(GROUPS / "actuators_data_group_1.json"),
            1.0,
            is_actuation=True,
        ),
        Workload(
            "kuksa-perf unpaced",
            (Group("all", 0.0, tuple(sensors[:UNPACED_SIGNALS])),),
            1.5,
            KUKSA_UNPACED,
        ),
    ]


def _rows(workload: Workload, ours: list[Outcome], peer: list[Outcome]) -> list[Row]:
    """Return the rows of a workload, of the round that the machine disturbed least."""
    best, other = (min(each, key=lambda one: one.percentile(99)) for each in (ours, peer))
    groups = f"{len(workload.groups)} groups of " if len(workload.groups) > 1 else ""
    what = f"{workload.what}, {groups}{workload.signals} signal{'s' * (workload.signals > 1)}"
    if not workload.due_s:
        best, other = (max(each, key=lambda one: one.rate) for each in (ours, peer))
    compared = f"minimal broker {_said(workload, other)}"
    compared += f"; {workload.published}" if workload.published else ""
    if not workload.due_s:
        result = best.rate / KUKSA_SIGNALS_S
        return [Row(what, _said(workload, best), compared, result, ">= 1")]
    rows = [
        Row(f"{what}, p99", _said(workload, best), compared, best.percentile(99), "<= 10", "ms")
    ]
    if workload.published:
        name, p99 = best.slowest()
        rows += [
            Row("the same, the slowest group, p99", name, "-", p99, "<= 10", "ms"),
            Row(
                "the same, values that arrive of those that are due",
                f"{best.rate:,.0f} signals/s",
                f"minimal broker {other.rate:,.0f}, due {workload.due_s:,.0f}; KUKSA's figure 1,028",
                best.rate / workload.due_s,
                ">= 0.99",
            ),
        ]
    lost = sum(outcome.lost for outcome in ours)
    return rows if not lost else [*rows, Row(f"{what}, lost", "-", "-", lost, "<= 0", "values")]


def _said(workload: Workload, outcome: Outcome) -> str:
    rate = "" if workload.due_s else f"{outcome.rate:,.0f} signals/s, "
    return f"{rate}p50 {outcome.percentile(50):.2f}, p99 {outcome.percentile(99):.2f} ms"


async def _metadata(where: Broker) -> dict[str, types_pb2.Metadata]:
    """Ask the door what there is; the minimal broker takes the same numbers."""
    async with channel(where) as opened:
        call: Any = opened.unary_unary(
            VAL + "ListMetadata",
            request_serializer=val_pb2.ListMetadataRequest.SerializeToString,
            response_deserializer=val_pb2.ListMetadataResponse.FromString,
        )
        request = val_pb2.ListMetadataRequest(root="Vehicle")
        answer = await call(request, metadata=where.shows("read"))
    return {one.path: one for one in answer.metadata}


async def _play(where: Broker, workload: Workload, known: dict[str, Any]) -> Outcome:
    """Run all groups at once."""
    outcome = Outcome(workload.seconds)
    async with channel(where) as triggers, channel(where) as receivers:
        ends = Actuated if workload.is_actuation else Published
        opened = [ends(where, triggers, receivers) for _ in workload.groups]
        metadata = [[known[path] for path in group.paths] for group in workload.groups]
        for end, signals in zip(opened, metadata, strict=True):
            await end.open([one.id for one in signals])
        begins_s = time.perf_counter() + SKIPPED_S
        await asyncio.gather(
            *(
                _group(group, signals, end, begins_s, outcome)
                for group, signals, end in zip(workload.groups, metadata, opened, strict=True)
            )
        )
        for end in opened:
            end.close()
    return outcome


async def _group(
    group: Group, signals: list[Any], end: Published, begins_s: float, outcome: Outcome
) -> None:
    """Play one group until its time is over; what is sent before `begins_s` is not counted."""
    requests = [end.request({one.id: value_of(one, n) for one in signals}) for n in range(VARIANTS)]
    took_ms = outcome.took_ms[group.name] = []
    start_s, ends_s, cycle = time.perf_counter(), begins_s + outcome.seconds, 0
    while (now_s := time.perf_counter()) < ends_s:
        if group.cycle_s:
            # As tokio's interval: a late cycle begins at once, and the next is not late for it.
            await asyncio.sleep(max(0.0, start_s + cycle * group.cycle_s - now_s))
        # As kuksa-perf counts: 0, 2, 3, 4...
        n = (cycle + (cycle > 0)) % VARIANTS
        request, expected = requests[n]
        missing = set(expected)
        sent_s = time.perf_counter()
        await end.send(request)
        try:
            async with asyncio.timeout(WAIT_S):
                while missing:
                    values, arrived_s = await end.receive()
                    for number in values.keys() & missing:
                        assert values[number] == expected[number], "a value came changed"
                        missing.remove(number)
                        if begins_s <= sent_s < ends_s:
                            took_ms.append((arrived_s - sent_s) * 1000)
        except TimeoutError:
            outcome.lost += len(missing)
            return
        cycle += 1


def value_of(signal: types_pb2.Metadata, n: int) -> types_pb2.Value:
    """Return the value of the nth cycle, as kuksa-perf's `n_to_value`."""
    datatype, value = _datatype(signal), types_pb2.Value()
    if datatype == "boolean":
        value.bool = n % 2 == 0
        return value
    member = member_of(datatype)
    low, high = (INTEGER_RANGES | FLOAT_RANGES)[datatype]
    number: float = n % 128
    if signal.HasField("min") or signal.HasField("max"):
        low = getattr(signal.min, member) if signal.HasField("min") else low
        high = getattr(signal.max, member) if signal.HasField("max") else high
        number = low + n
        if number > high:
            number = max(low, number % high)
    fill(value, member, number)
    return value


def _datatype(signal: types_pb2.Metadata) -> str:
    return types_pb2.DataType.Name(signal.data_type).removeprefix("DATA_TYPE_").lower()


def _is_sensor(signal: types_pb2.Metadata) -> bool:
    return signal.entry_type == types_pb2.ENTRY_TYPE_SENSOR
