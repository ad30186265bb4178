"""A real agent tells apps every value of a drive, in order, then how good they are when the drive is over."""

import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairway.foreign.kuksa.val.v2 import val_pb2, val_pb2_grpc
from fairway.v1 import onboard_pb2, onboard_pb2_grpc
from tests.e2e.programs import Program, until
from tests.edge_agent.agents import DBC, collected, drive, write_log
from tests.onboard_apps import Issuer, bearer, channel
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = ["car.dbc"]
[replay]
log = "drive.log"
speed = 1
[telemetry]
collect = "all"
[spool]
dir = "data/spool"
[metrics]
listen = "127.0.0.1:{metrics}"
[onboard]
keys = ["issuer/apps.pub"]
"""
SPEED = "can0.MOTION.Speed"
FRAMES = drive(900)  # 4.5 s; microseconds are all that a log keeps of a stamp


@dataclass(frozen=True, slots=True)
class Car:
    where: str
    metrics: int
    issuer: Issuer
    agent: Program


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    issuer, metrics = Issuer(tmp_path / "issuer"), free_port()
    (tmp_path / "car.dbc").write_text(DBC)
    write_log(tmp_path / "drive.log", FRAMES)
    config = tmp_path / "agent.toml"
    config.write_text(SETTINGS.format(metrics=metrics))
    agent = Program("edge-agent", "run", "--config", config, log=tmp_path / "agent.log").start()
    until("the door", lambda: not agent.is_running or "onboard_listen" in agent.said())
    yield Car(f"unix:{tmp_path / 'data' / 'onboard.sock'}", metrics, issuer, agent)
    agent.close()


def points(data_points: Iterable[Any]) -> list[tuple[int, float]]:
    return [
        (point.timestamp.seconds * 10**9 + point.timestamp.nanos, point.value.double)
        for point in data_points
    ]


def test_every_value_of_a_drive_is_told_and_remembered_and_stale_after_its_end(car: Car):
    drive_said = [(at, value) for name, at, value in collected(FRAMES).rows() if name == SPEED]
    token = {"metadata": bearer(car.issuer.token("read:can0.MOTION"))}

    with channel(car.where) as app:
        vehicle: Any = val_pb2_grpc.VALStub(app)
        states: Any = onboard_pb2_grpc.OnboardServiceStub(app)
        wanted = val_pb2.SubscribeRequest(signal_paths=[SPEED], buffer_size=1000)
        told: list[tuple[int, float]] = []
        for message in vehicle.Subscribe(wanted, timeout=30, **token):
            told += points(point for point in message.entries.values() if point.HasField("value"))
            if told and told[-1] == drive_said[-1]:
                break
        # The drive had begun: from the first value that was told on, not one is missing.
        assert len(told) > len(drive_said) / 3
        assert told == drive_said[-len(told) :]

        until("the end", lambda: "sources_ended" in car.agent.said())
        past = states.GetHistory(onboard_pb2.GetHistoryRequest(path=SPEED), **token)
        assert points(past.data_points) == drive_said
        request = onboard_pb2.GetStatesRequest(paths=[SPEED, "can0.BATTERY"])
        answer = states.GetStates(request, **token)
    (state,) = answer.states
    assert points([state.data_point]) == drive_said[-1:]
    assert state.quality == onboard_pb2.QUALITY_STALE
    assert (state.provider, state.provider_is_here) == ("can0", False)
    assert list(answer.refused) == ["can0.BATTERY"]
    with urllib.request.urlopen(f"http://127.0.0.1:{car.metrics}/metrics", timeout=5) as page:
        numbers = page.read().decode()
    assert "fairway_edge_onboard_dropped_values_total 0.0" in numbers
