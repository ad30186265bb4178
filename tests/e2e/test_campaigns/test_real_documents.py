"""FleetWise's own campaign documents: each comes in, fits, runs in a real agent, and goes out as it came."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.campaign_door import SOCKET_NAME, asked
from tests.e2e.programs import Program, until
from tests.e2e.test_campaigns import documents
from tests.e2e.test_campaigns.documents import BEGIN_NS, BRAKE, NS_PER_S, TORQUE, Drive, document
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent
from tests.shared_data import shared

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

DEMO_CAR, EV_CAR = "DEMO", "EV"
DEMO = (
    "campaign-brake-event-vision-system-data",
    "campaign-counter",
    "campaign-file-size",
    "campaign-math",
    "campaign-my-someip-heartbeat",
    "campaign-nadc-example-heartbeat",
    "campaign-obd-heartbeat",
    "campaign-python-histogram",
    "campaign-sin",
    "campaign-someip-heartbeat",
    "campaign-store-only-no-upload",
    "campaign-upload-critical-during-hard-braking",
    "campaign-vision-system-data-heartbeat",
)
EV = ("conditional-snapshot-campaign", "continious-monitoring-campaign")
# A process that is late, on a machine that is busy, is not what is tried here.
AGENT = """
[signals]
overlays = ["{overlay}"]
[campaigns]
files = {files}
check_in_interval_s = 1
[functions]
file_size_paths = ["{file_size_path}"]
call_timeout_ms = 10000
cpu_max_ms_per_s = 1000
"""


@dataclass(frozen=True)
class Lived:
    """A vehicle that has driven with campaigns from its own files."""

    vehicle: str
    drive: Drive
    agent: Program


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignCloud]:
    one = CampaignCloud(tmp_path_factory.mktemp("fleetwise"))
    one.start()
    yield one
    one.program.close()


@pytest.fixture(scope="module")
def demo(cloud: CampaignCloud) -> Iterator[Lived]:
    documents.FILE_SIZE_PATH.write_bytes(bytes(4321))
    folder = cloud.add_vehicle(DEMO_CAR)
    yield from lived(cloud, folder, documents.demo_drive(folder), DEMO, speed="6")
    documents.FILE_SIZE_PATH.unlink()


@pytest.fixture(scope="module")
def ev(cloud: CampaignCloud) -> Iterator[Lived]:
    folder = cloud.add_vehicle(EV_CAR)
    yield from lived(cloud, folder, documents.ev_drive(folder), EV, speed='"max"')


def lived(
    cloud: CampaignCloud, folder: Path, drive: Drive, names: Sequence[str], *, speed: str
) -> Iterator[Lived]:
    """Import documents into the cloud, run them from files over a drive, and stay on."""
    for name in names:
        (folder / f"{name}.json").write_text(json.dumps(document(name)))
        wish = {"campaign": document(name), "target": {"vehicle": folder.name}}
        cloud.ask("POST", "/v1/campaigns", wish)
    agent = campaign_agent(
        folder,
        url=f"grpcs://127.0.0.1:{cloud.grpc_port}",
        # Parked until it has surely reached the cloud; the drive begins with its first sample.
        log=drive.write(folder / "drive.log", parked_s=60),
        databases=drive.databases,
        speed=speed,
        more=AGENT.format(
            overlay=drive.overlay,
            files=json.dumps([f"{name}.json" for name in names]),
            file_size_path=documents.FILE_SIZE_PATH,
        ),
    )
    agent.start()
    try:
        until("the end of the drive", lambda: "sources_ended" in agent.said(), within_s=60)
        yield Lived(folder.name, drive, agent)
        assert agent.stop() == 0, agent.said()
    finally:
        agent.close()


def told(car: Lived, name: str) -> dict[str, Any]:
    """Return what the agent itself says of a campaign now."""
    spool = car.agent.log.parent / "spool"
    return next(one for one in asked(spool / SOCKET_NAME, "list") if one["name"] == name)


def arrived(cloud: CampaignCloud, car: Lived, name: str) -> list[dict[str, Any]]:
    """Return the events of a campaign once all that were triggered are in the cloud."""
    triggers = int(told(car, name)["triggers"])
    until(
        f"{triggers} events of {name}",
        lambda: cloud.campaign(name)["progress"]["events"] == triggers,
    )
    events = cloud.events(name, car.vehicle)
    assert len(events) == triggers
    return events


def seconds(events: Sequence[dict[str, Any]]) -> list[float]:
    return [(one["time_ns"] - BEGIN_NS) / NS_PER_S for one in events]


def brought(cloud: CampaignCloud, car: Lived, name: str, signal: str) -> list[tuple[int, Any]]:
    return cloud.data(name, car.vehicle, signal)


def said(car: Lived, signal: str, *, until_s: float) -> list[tuple[int, float]]:
    end_ns = BEGIN_NS + round(until_s * NS_PER_S)
    return [(one.time_ns, one.value) for one in car.drive.of(signal) if one.time_ns < end_ns]


def newest(
    car: Lived, signal: str, ends_ns: Sequence[int], most: int = 1000
) -> list[tuple[int, float]]:
    """Return what events that end then have of a signal: each sample once, and the newest so many."""
    found, begin_ns = list[tuple[int, float]](), 0
    for end_ns in ends_ns:
        samples = [one for one in car.drive.of(signal) if begin_ns < one.time_ns <= end_ns]
        found += [(one.time_ns, one.value) for one in samples[-most:]]
        begin_ns = end_ns
    return found


def names_of(name: str) -> list[str]:
    return [one["name"] for one in document(name)["signalsToCollect"]]


@pytest.mark.parametrize("name", [*DEMO, *EV])
def test_each_document_runs_where_it_fits_and_goes_out_as_it_came_in(
    cloud: CampaignCloud, request: pytest.FixtureRequest, name: str
):
    car: Lived = request.getfixturevalue("ev" if name in EV else "demo")
    original = json.loads((shared("edge/fleetwise/campaigns") / f"{name}.json").read_bytes())

    exported = cloud.ask("GET", f"/v1/campaigns/{name}/document")

    assert exported == document(name)
    assert original.items() <= exported.items()
    assert exported.keys() - original.keys() <= {"name", "fairway"}
    until(f"word of {name}", lambda: cloud.standing(name, car.vehicle)["status"] == "healthy")
    fits = cloud.ask("GET", f"/v1/campaigns/{name}/check")
    assert fits["counts"] == {**fits["counts"], "whole": 1}, fits


@pytest.mark.parametrize(
    "name",
    [
        "campaign-my-someip-heartbeat",
        "campaign-nadc-example-heartbeat",
        "campaign-obd-heartbeat",
        "campaign-someip-heartbeat",
    ],
)
def test_a_heartbeat_brings_every_sample_once_every_ten_seconds(
    cloud: CampaignCloud, demo: Lived, name: str
):
    events = arrived(cloud, demo, name)

    assert seconds(events) == [10, 20, 30, 40, 50, 60]
    assert {one["samples"] for one in events} == {20 * len(names_of(name))}
    for signal in names_of(name):
        assert brought(cloud, demo, name, signal) == said(demo, signal, until_s=60), signal
    has_dtcs = name == "campaign-obd-heartbeat"
    assert {bool(one["dtcs_missing"]) for one in events} == {has_dtcs}  # no ECU in a log


def test_a_heartbeat_thins_and_cuts_each_signal_as_it_says(cloud: CampaignCloud, demo: Lived):
    name = "campaign-vision-system-data-heartbeat"

    events = arrived(cloud, demo, name)

    assert seconds(events) == [10, 20, 30, 40, 50, 60]
    assert {one["samples"] for one in events} == {1 + 3 * 10}
    frames = said(demo, "Vehicle.Cameras.Front.Image", until_s=60)
    assert brought(cloud, demo, name, "Vehicle.Cameras.Front.Image") == frames[19::20]
    speeds = said(demo, "Vehicle.Speed", until_s=60)
    assert brought(cloud, demo, name, "Vehicle.Speed") == speeds[::2]


def test_the_brake_event_triggers_each_second_and_has_the_second_after_and_what_was_before(
    cloud: CampaignCloud, demo: Lived
):
    name = "campaign-brake-event-vision-system-data"

    events = arrived(cloud, demo, name)

    # The last second passes while it is still true: what says otherwise comes at the same moment, but after.
    assert seconds(events) == [
        second + 0.007 for second in (*documents.BRAKES_S, documents.BRAKES_S.stop)
    ]
    ends = [one["time_ns"] + NS_PER_S - 1 for one in events]
    for signal in (BRAKE, TORQUE, "Vehicle.Speed"):
        assert brought(cloud, demo, name, signal) == newest(demo, signal, ends), signal
    assert {one["samples"] for one in events[1:]} == {50 + 50 + 4 * 2}


def test_the_counter_campaign_ends_when_it_has_counted_to_a_thousand(
    cloud: CampaignCloud, demo: Lived
):
    events = arrived(cloud, demo, "campaign-counter")

    assert seconds(events) == list(range(1, len(events) + 1))
    assert 48 <= len(events) <= 51  # it is asked every 50 ms
    values = brought(cloud, demo, "campaign-counter", BRAKE)
    assert values == said(demo, BRAKE, until_s=len(events))


def test_the_file_size_campaign_brings_the_size_each_second(cloud: CampaignCloud, demo: Lived):
    events = arrived(cloud, demo, "campaign-file-size")

    assert seconds(events) == list(range(1, documents.DEMO_S))
    sizes = brought(cloud, demo, "campaign-file-size", "Vehicle.FileSize")
    assert {size for _, size in sizes} == {"4321"}


def test_the_histogram_of_a_thousand_torques_comes_out_of_the_sandbox(
    cloud: CampaignCloud, demo: Lived
):
    name = "campaign-python-histogram"

    events = arrived(cloud, demo, name)

    histograms = [json.loads(text) for _, text in brought(cloud, demo, name, "Vehicle.Histogram")]
    assert [sum(bins) for bins in histograms] == [1000] * len(events)
    assert (
        1 <= len(events) <= 4
    )  # it is asked for each torque and every 50 ms, once its sandbox is up
    used = {number for number, count in enumerate(histograms[0]) if count}
    assert min(used) == int((-400 + 1000) * 99 / 2000)
    assert max(used) == int((400 + 1000) * 99 / 2000)


def length(torque: float, brake: float) -> bool:
    return math.sqrt(torque**2 + brake**2) > 100


def swing(torque: float, brake: float) -> bool:
    return bool(torque) and math.sin(brake / torque) > 0.5


@pytest.mark.parametrize(("name", "is_true"), [("campaign-math", length), ("campaign-sin", swing)])
def test_a_rising_edge_of_a_formula_triggers_where_plain_python_finds_it(
    cloud: CampaignCloud, demo: Lived, name: str, is_true: Callable[[float, float], bool]
):
    edges, values = list[int](), dict[str, float]()
    states = [True]  # what nobody has seen false has no edge
    for sample in demo.drive.samples:
        if sample.signal in {TORQUE, BRAKE}:
            values[sample.signal] = sample.value
            if len(values) == 2:
                states.append(is_true(values[TORQUE], values[BRAKE]))
                if states[-2:] == [False, True]:
                    edges.append(sample.time_ns)

    events = arrived(cloud, demo, name)

    assert len(edges) > 20
    assert [one["time_ns"] for one in events] == edges
    for signal in (TORQUE, BRAKE):
        assert brought(cloud, demo, name, signal) == newest(demo, signal, edges), signal


def test_what_is_stored_only_stays_until_somebody_asks_for_it(cloud: CampaignCloud, demo: Lived):
    name = "campaign-store-only-no-upload"
    assert told(demo, name)["triggers"] == 6
    assert told(demo, name)["waiting_bytes"] > 0
    assert cloud.campaign(name)["progress"]["received_bytes"] == 0

    done = cloud.ask("POST", f"/v1/vehicles/{demo.vehicle}/campaigns/{name}/upload", {})

    assert done["state"] == "succeeded", done
    events = arrived(cloud, demo, name)
    assert seconds(events) == [10, 20, 30, 40, 50, 60]
    assert brought(cloud, demo, name, TORQUE) == said(demo, TORQUE, until_s=61)
    until("an empty partition", lambda: told(demo, name)["waiting_bytes"] == 0)


def test_a_partition_is_sent_while_the_driver_brakes_hard_and_waits_before_and_after(
    cloud: CampaignCloud, demo: Lived
):
    name = "campaign-upload-critical-during-hard-braking"
    assert told(demo, name)["triggers"] == 6

    events = cloud.events(name, demo.vehicle)

    # Those of 10 and 20 s waited for the brake, those of 50 and 60 s wait for the next time.
    assert seconds(events) in ([10, 20, 30], [10, 20, 30, 40])
    assert told(demo, name)["waiting_bytes"] > 0
    pressures = brought(cloud, demo, name, BRAKE)
    assert pressures == said(demo, BRAKE, until_s=seconds(events)[-1] + 1)


def test_the_snapshot_of_an_overcurrent_has_the_values_before_it(cloud: CampaignCloud, ev: Lived):
    name = "conditional-snapshot-campaign"
    triggers, ends, open_ns, is_true = list[int](), list[int](), BEGIN_NS + 5 * NS_PER_S, False
    for sample in ev.drive.of(documents.SHUNT):
        # An interval that passes while it is true triggers at once, before the sample of that moment.
        is_true, was_true = sample.value > 450, is_true
        if open_ns <= sample.time_ns and (is_true or was_true):
            triggers.append(open_ns if was_true else sample.time_ns)
            ends.append(triggers[-1] - was_true)
            open_ns = triggers[-1] + 5 * NS_PER_S

    events = arrived(cloud, ev, name)

    assert len(triggers) > 10
    assert [one["time_ns"] for one in events] == triggers
    for signal in names_of(name):
        assert brought(cloud, ev, name, signal) == newest(ev, signal, ends, most=100), signal


def test_continuous_monitoring_brings_the_newest_value_of_each_signal(
    cloud: CampaignCloud, ev: Lived
):
    name = "continious-monitoring-campaign"

    events = arrived(cloud, ev, name)

    assert seconds(events) == [30, 60, 90, 120, 150, 180, 210, 240, 270]
    assert {one["samples"] for one in events} == {8}
    for signal in names_of(name):
        values = said(ev, signal, until_s=270)
        assert brought(cloud, ev, name, signal) == values[29::30], signal
