"""FleetWise's campaigns with custom functions run in the engine, their functions in real processes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.adapters.function_group import UNHURRIED
from edge_agent.adapters.function_host import CampaignFunctions
from edge_agent.adapters.memory import MemoryFileSizes
from fairway.campaign.document import campaign_from_json, sync_id
from fairway.campaign.engine import Engine
from fairway.campaign.events import Event
from fairway.campaign.model import Campaign, Extensions, Function
from fairway.clock import NS_PER_MS, NS_PER_S, SystemClock
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from tests.shared_data import shared

TORQUE, BRAKE = "Vehicle.ECM.DemoEngineTorque", "Vehicle.ABS.DemoBrakePedalPressure"
TABLE = SignalTable(
    (
        Signal(TORQUE),
        Signal(BRAKE),
        Signal("Vehicle.Histogram", Kind.TEXT),
        Signal("Vehicle.FileSize", Kind.TEXT),
    )
)
HISTOGRAM = """
import json

bins = [0] * 100
count = 0

def invoke(value):
    global count
    if value is None:
        return False
    bins[min(max(int((value + 1000) * 99 / 2000), 0), 99)] += 1
    count += 1
    if count < 1000:
        return False
    said = json.dumps(bins)
    bins[:] = [0] * 100
    count = 0
    return True, {"Vehicle.Histogram": said}
"""


@pytest.fixture
def functions() -> Iterator[CampaignFunctions]:
    sizes = MemoryFileSizes({"/tmp/fwe_test_file": 11})
    host = CampaignFunctions(sizes, SystemClock(), UNHURRIED)
    yield host
    host.close()


def document(name: str) -> Campaign:
    path: Path = shared("edge/fleetwise/campaigns") / f"campaign-{name}.json"
    return campaign_from_json(path.read_bytes(), name=name)


def driven(
    functions: CampaignFunctions, one: Campaign, signal: str, values: list[float]
) -> list[Event]:
    """Run a campaign over one value of a signal every 10 ms."""
    engine = Engine(TABLE, functions=functions)
    assert [verdict.refused for verdict in engine.set_campaigns([one], now_ns=0)] == [None]
    count = len(values)
    times_ns = np.arange(count, dtype=np.int64) * 10 * NS_PER_MS
    signals = np.full(count, TABLE.number(signal), np.int32)
    return engine.take(SampleBlock(TABLE, signals, times_ns, np.array(values), ()))


def said(events: list[Event], signal: str) -> list[float | bool | str]:
    rows = [row for event in events for part in event.parts.values() for row in part.rows()]
    return [value for name, _, value in rows if name == signal]


def test_the_histogram_campaign_sends_its_bins_every_thousand_values(functions: CampaignFunctions):
    carried = Extensions(functions=(Function("histogram", HISTOGRAM),))
    one = replace(document("python-histogram"), extensions=carried)
    values = [float(n % 2000 - 1000) for n in range(2000)]

    events = driven(functions, one, TORQUE, values)

    bins = [json.loads(str(text)) for text in said(events, "Vehicle.Histogram")]
    assert [sum(one) for one in bins] == [1000, 1000]
    assert sum(bins[0][:50]) == 1000  # the torques below 0 came first
    report = functions.report(sync_id(one))
    assert report is not None
    assert report.errors == 0


def test_the_counter_campaign_stops_after_a_thousand_evaluations(functions: CampaignFunctions):
    one = document("counter")

    events = driven(functions, one, BRAKE, [1.0] * 8000)

    # It has no input: it is evaluated every 50 ms, and triggers once a second until it has counted so far.
    seconds = [event.time_ns // NS_PER_S for event in events]
    assert seconds == list(range(1, len(seconds) + 1))
    assert 48 <= seconds[-1] <= 51


def test_the_file_size_campaign_triggers_for_a_file_that_may_be_asked_for(
    functions: CampaignFunctions,
):
    events = driven(functions, document("file-size"), BRAKE, [1.0] * 500)

    assert set(said(events, "Vehicle.FileSize")) == {"11"}


def test_a_campaign_whose_function_did_not_come_is_refused_with_a_sentence(
    functions: CampaignFunctions,
):
    engine = Engine(TABLE, functions=functions)

    verdict = engine.set_campaigns([document("python-histogram")], now_ns=0)[0]

    assert "no custom function 'python'" in str(verdict.refused)
