"""What happens to a vehicle happens to its campaigns: power cuts, clocks that are set, a day without network.

The agent, its bus and the cloud are real programs; the road between them is the test's (tap.py).
"""

import itertools
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.campaign_door import SOCKET_NAME, asked
from edge_agent.adapters.partition_folders import PartitionFolders
from fairway.telemetry import SealedBatch
from fairway.wire.telemetry import request_from_bytes
from tests.e2e.fake_wall import FakeWall
from tests.e2e.programs import Program, run, until
from tests.e2e.test_campaigns import beacon
from tests.e2e.test_campaigns.beacon import COUNT, WAVE
from tests.e2e.test_campaigns.stand import CampaignCloud, campaign_agent
from tests.e2e.test_campaigns.tap import Tap

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

CAR = "TOUGH"
DAY_S = 86_400
HOUR_S = 3_600
CHECK_IN = "[campaigns]\ncheck_in_interval_s = 1\n"


def every(
    period_ms: int, name: str, *signals: str, partition: str = "", **more: Any
) -> dict[str, Any]:
    belongs = {"dataPartitionId": partition} if partition else {}
    return {
        "name": name,
        "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": period_ms}},
        "signalsToCollect": [{"name": one, **belongs} for one in signals],
        "spoolingMode": "TO_DISK",
        **more,
    }


def partition(name: str, *, hours: int, upload: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "storageOptions": {
            "maximumSize": {"value": 1, "unit": "MB"},
            "storageLocation": name,
            "minimumTimeToLive": {"value": hours, "unit": "HOURS"},
        },
        **({"uploadOptions": {"expression": upload}} if upload else {}),
    }


class Scene:
    """A car, its road and its cloud."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.cloud = CampaignCloud(folder)
        stack.callback(self.cloud.program.close)
        self.cloud.start()
        self.car = self.cloud.add_vehicle(CAR)
        self.tap = Tap(self.car, folder / "cloud" / "pki", self.cloud.grpc_port)
        stack.callback(self.tap.close)
        (self.car / "beacon.dbc").write_text(beacon.DBC)
        self._stack = stack

    def beacon(self, environment: dict[str, str]) -> None:
        """Have a live bus, until the end."""
        lamp = Program("edge-agent", log=self.car / "beacon.log", name="beacon")
        module = ["-m", "tests.e2e.test_campaigns.beacon", str(self.car / "can0.sock")]
        lamp.arguments = [sys.executable, *module]
        lamp.environment = environment
        self._stack.callback(lamp.close)
        lamp.start()
        until("the bus", (self.car / "can0.sock").exists)

    def agent(self, *, more: str = CHECK_IN, **settings: Any) -> Program:
        """Return the agent, not started; it listens to the beacon unless it is told of a log."""
        settings = {"log": None, "databases": {"can0": self.car / "beacon.dbc"}, **settings}
        url = f"grpcs://localhost:{self.tap.port}"
        agent = campaign_agent(self.car, url=url, more=more, **settings)
        self._stack.callback(agent.close)
        return agent

    def start(self, agent: Program) -> Program:
        """Start an agent, and wait until it can be asked."""
        agent.start()
        until("the agent's door", (self.car / "spool" / SOCKET_NAME).exists)
        return agent

    def told(self, name: str) -> dict[str, Any]:
        """Return what the agent itself says of a campaign."""
        said = asked(self.car / "spool" / SOCKET_NAME, "list")
        return next(one for one in said if one["name"] == name)

    def durable(self) -> set[tuple[str, int, int]]:
        """Return campaign, id and time of every event that waits on the disk of a dead agent."""
        copy = self.car / "copy"
        shutil.copytree(self.car / "spool" / "campaigns", copy)
        found = set()
        for _, spool in PartitionFolders(copy, max_bytes=1 << 30).found():
            for waiting in spool.read(0, max_batches=100_000, max_bytes=1 << 30):
                batch = request_from_bytes(waiting.request, vehicle=CAR)
                assert isinstance(batch, SealedBatch)
                assert batch.campaign is not None
                name = batch.campaign.sync_id.partition("@")[0]
                found |= {(name, one.id, one.time_ns) for one in batch.campaign.events}
            spool.close()
        shutil.rmtree(copy)
        return found

    def arrived(self, *names: str) -> set[tuple[str, int, int]]:
        """Return campaign, id and time of every event that the cloud has."""
        return {
            (name, one["id"], one["time_ns"]) for name in names for one in self.cloud.events(name)
        }


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack, tmp_path)


def in_order(scene: Scene) -> dict[str, list[int]]:
    """Return the sequences of each lane as they first passed, and make sure that they did in order."""
    lanes: dict[str, list[int]] = {}
    for one in scene.tap.all():
        lane = lanes.setdefault(one.stream, [])
        if one.sequence not in lane:
            lane.append(one.sequence)
    for lane in lanes.values():
        assert lane == sorted(lane)
    return lanes


def test_what_was_durable_arrives_once_and_in_order_although_the_agent_is_killed_again_and_again(
    scene: Scene,
):
    names = ("urgent", "routine")
    campaigns = (
        every(200, "urgent", COUNT, priority=0),
        every(
            300,
            "routine",
            COUNT,
            partition="all",
            priority=7,
            dataPartitions=[partition("all", hours=24, upload=f"$variable.`{COUNT}` >= 0")],
        ),
        every(250, "thrifty", COUNT, priority=3, fairway={"budget": {"maxBytes": 3000}}),
    )
    dice, durable = random.Random(5), set[tuple[str, int, int]]()
    scene.beacon({})
    agent = scene.start(scene.agent())
    scene.tap.open()
    for campaign in campaigns:
        scene.cloud.run_campaign(campaign, CAR)
    until("the campaigns", lambda: len(in_order(scene)) == 3)

    for _ in range(4):
        time.sleep(dice.uniform(0.2, 1.5))
        scene.tap.close()
        time.sleep(dice.uniform(0.3, 1.5))
        agent.kill()
        durable |= scene.durable()
        agent.start()
        time.sleep(dice.uniform(0.1, 1.0))
        scene.tap.open()
        before = len(scene.tap.all())
        until("the next connection", lambda seen=before: len(scene.tap.all()) > seen)  # type: ignore[misc]

    expected = {one for one in durable if one[0] in names}
    assert len(expected) > 8
    until("everything durable", lambda: expected <= scene.arrived(*names))
    in_order(scene)
    for name in names:
        counts = [value for _, value in scene.cloud.data(name, CAR, COUNT)]
        assert counts == sorted(set(counts)), f"{name}: a sample is stored twice"
    spent = sum(one.size_bytes for one in scene.tap.of("thrifty"))
    assert 0 < spent <= 3000, "resends and crashes count as well"
    assert scene.told("thrifty")["held_back_bytes"] > 0


def test_a_wall_clock_that_is_set_by_hours_changes_nothing_but_stamps(scene: Scene, tmp_path: Path):
    campaigns = (
        every(500, "beat", COUNT),
        every(500, "thrifty", COUNT, fairway={"budget": {"maxBytesPerDay": 1500}}),
        every(
            500,
            "kept",
            COUNT,
            partition="kept",
            dataPartitions=[partition("kept", hours=1, upload=None)],
        ),
        held_two_seconds("held"),
    )
    six = 6 * HOUR_S - int(time.time()) % DAY_S
    clock = OneClock(tmp_path, six)
    scene.beacon(clock.bus.environment | {"FAKETIME_NO_CACHE": "1"})
    agent = scene.agent()
    agent.environment = clock.agent.environment
    scene.tap.open()
    scene.start(agent)
    for campaign in campaigns:
        scene.cloud.run_campaign(campaign, CAR)
    scene.cloud.until_running("held", CAR)
    until("the end of the budget", lambda: scene.told("thrifty")["held_back_bytes"] > 0)

    def spent() -> int:
        return sum(one.size_bytes for one in scene.tap.of("thrifty"))

    assert spent() > 0
    for hours in (5, -4, 9):  # all of them the same day
        clock.set(six + hours * HOUR_S)
        time.sleep(1.5)
    first_day = spent()
    assert first_day <= 1500
    clock.set(six + 24 * HOUR_S)  # the day after begins early ...
    until("a new day's budget", lambda: spent() > first_day)
    for hours in (0, 25):  # ... and only once
        clock.set(six + hours * HOUR_S)
        time.sleep(6)
    assert spent() <= 3000

    assert "clock_jumped" in agent.log.read_text()
    beats = scene.tap.of("beat")
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(beats)]
    assert max(gaps) < 5, ("it did not go on", [(round(one.at_s, 1), one.events) for one in beats])
    holds = [one.at_s for one in scene.tap.of("held")]
    assert len(holds) > 3
    # Stamps and clock are set one after the other: each time a hold may look shorter on a busy machine.
    assert len(holds) <= (holds[-1] - holds[0]) / beacon.CYCLE_S + 6, holds
    waiting = scene.told("kept")
    assert waiting["dropped_samples"] == 0, "it was given up for its age"
    clock.set(0)  # a command has expired for a vehicle that lives a day ahead
    time.sleep(1.5)
    collected = scene.told("kept")["samples"]
    said = scene.cloud.ask("POST", f"/v1/vehicles/{CAR}/campaigns/kept/upload", {})
    assert said["state"] == "succeeded", said
    until(
        "what was kept", lambda: len(scene.cloud.data("kept", CAR, COUNT)) >= collected, within_s=60
    )
    assert agent.stop() == 0
    for name in ("beat", "kept"):
        counts = [value for _, value in scene.cloud.data(name, CAR, COUNT)]
        assert sorted(counts) == list(range(int(min(counts)), int(max(counts)) + 1)), name


class OneClock:
    """The wall clock of a vehicle, for two programs that look at it on their own.

    A sample stamped before a jump may be seen after it; one that is stamped after it is not seen before it.
    """

    def __init__(self, folder: Path, ahead_s: int) -> None:
        self.agent, self.bus = FakeWall(folder / "agent-wall"), FakeWall(folder / "bus-wall")
        for wall in (self.agent, self.bus):
            wall.set(ahead_s)

    def set(self, ahead_s: int) -> None:
        """Set it; the agent looks once a second."""
        self.agent.set(ahead_s)
        time.sleep(1.1)
        self.bus.set(ahead_s)


def held_two_seconds(name: str) -> dict[str, Any]:
    scheme = {"expression": f"held($variable.`{WAVE}` > 5, 2 s)", "triggerMode": "RISING_EDGE"}
    return {
        "name": name,
        "collectionScheme": {"conditionBasedCollectionScheme": scheme},
        "signalsToCollect": [{"name": WAVE}],
    }


NOISE_DBC = """VERSION ""
NS_ :
BS_:
BU_: ECU
BO_ 256 NOISE: 64 ECU
""" + "".join(
    f' SG_ N{number:02} : {16 * number}|16@1+ (1,0) [0|0] "" Vector__XXX\n' for number in range(32)
)
RANKS = {"alarm": 0, "report": 2, "bulk": 9}
BULK_DAY_BYTES = 400_000
BEGIN_S = 1_700_000_000


def a_day_of_noise(log: Path) -> Path:
    """Write a day's drive that does not compress: a long frame every four seconds."""
    dice = random.Random(11)
    with log.open("w") as out:
        for second in range(0, DAY_S, 4):
            frame = dice.randbytes(64).hex().upper()
            out.write(f"({BEGIN_S + second}.000000) can0 100##1{frame}\n")
    return log


def test_after_a_day_without_network_the_important_comes_first_and_every_loss_and_limit_is_told(
    scene: Scene, tmp_path: Path
):
    campaigns = {
        "alarm": every(600_000, "alarm", "can0.NOISE.N00", priority=RANKS["alarm"]),
        "report": every(300_000, "report", "can0.NOISE.N0*", priority=RANKS["report"]),
        "bulk": every(
            600_000,
            "bulk",
            "can0.NOISE.*",
            priority=RANKS["bulk"],
            fairway={"budget": {"maxBytesPerDay": BULK_DAY_BYTES}},
        ),
    }
    for name, most in (("alarm", 5), ("report", 5), ("bulk", 200)):
        for one in campaigns[name]["signalsToCollect"]:
            one["maxSampleCount"] = most
    for name, campaign in campaigns.items():
        wish = {"campaign": campaign, "target": {"vehicle": CAR}}
        scene.cloud.ask("POST", "/v1/campaigns", wish)
        (scene.car / f"{name}.json").write_text(json.dumps(campaign))
    wall, six = FakeWall(tmp_path / "wall"), 6 * HOUR_S - int(time.time()) % DAY_S
    wall.set(six)
    (scene.car / "noise.dbc").write_text(NOISE_DBC)
    agent = scene.agent(
        log=a_day_of_noise(tmp_path / "day.log"),
        databases={"can0": scene.car / "noise.dbc"},
        speed=f"{DAY_S / 8:.1f}",  # a day in eight seconds
        more=f'{CHECK_IN}max_bytes = 1048576\nfiles = ["alarm.json", "report.json", "bulk.json"]\n',
    )
    agent.environment = wall.environment
    scene.start(agent)  # into the open country
    until("the end of the day", lambda: "sources_ended" in agent.said(), within_s=90)
    until("the last events on the disk", lambda: scene.told("report")["triggers"] == 287)

    told = {name: scene.told(name) for name in RANKS}
    assert sum(one["waiting_bytes"] for one in told.values()) <= 1_048_576
    assert told["bulk"]["dropped_samples"] > 0
    assert [told[name]["dropped_samples"] for name in ("alarm", "report")] == [0, 0]
    scene.tap.open()
    until("what it costs", lambda: scene.told("bulk")["held_back_bytes"] > 0, within_s=120)

    passed = [one.campaign for one in scene.tap.all()]
    assert passed == sorted(passed, key=RANKS.__getitem__), "the important did not go first"
    in_order(scene)
    for name, events in (("alarm", 143), ("report", 287)):
        until(name, lambda of=name, all_=events: events_of(scene, of) == all_)  # type: ignore[misc]
    for day in range(1, 5):
        spent = sum(one.size_bytes for one in scene.tap.of("bulk"))
        assert spent <= day * BULK_DAY_BYTES
        if not scene.told("bulk")["waiting_bytes"]:
            break
        assert spent > (day - 1) * BULK_DAY_BYTES + BULK_DAY_BYTES // 2
        tells_what_it_holds_back(scene)
        wall.set(six + day * DAY_S)
        until("the next day", lambda: scene.told("bulk")["held_back_bytes"] == 0)
        until("its end", lambda: held_or_gone(scene))
    assert day > 1, "one day was enough: the budget was never the limit"
    until("the rest", lambda: scene.cloud.standing("bulk", CAR)["waiting_bytes"] == 0)
    last, brought = scene.told("bulk"), scene.cloud.campaign("bulk")["progress"]
    assert last["samples"] == brought["samples"] + last["dropped_samples"], "a loss was not counted"
    assert scene.cloud.standing("bulk", CAR)["dropped_samples"] == last["dropped_samples"]


def events_of(scene: Scene, name: str) -> int:
    return int(scene.cloud.campaign(name)["progress"]["events"])


def held_or_gone(scene: Scene) -> bool:
    told = scene.told("bulk")
    return bool(told["held_back_bytes"]) or not told["waiting_bytes"]


def tells_what_it_holds_back(scene: Scene) -> None:
    """The vehicle says why at its own door, and its cloud says how much."""
    limit = f"the campaign may send {BULK_DAY_BYTES} bytes a day and has sent"
    why = asked(scene.car / "spool" / SOCKET_NAME, "why", "bulk")
    assert any(limit in sentence for sentence in why["sentences"]), why["sentences"]
    until("its word", lambda: scene.cloud.standing("bulk", CAR)["held_back_bytes"] > 0)
    standing = scene.cloud.standing("bulk", CAR)
    assert any(limit in warning for warning in standing["warnings"])
    shown = run("fleet-cloud", "campaign", "vehicles", "bulk", *scene.cloud.options).stdout
    assert limit in shown
