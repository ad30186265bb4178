"""The first drive, whole: a real log through real programs into the store, all of them killed on the way."""

import random
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fairway.topics import up_telemetry
from tests.e2e import rav4
from tests.e2e.fake_wall import FakeWall
from tests.e2e.programs import Program, children_of, kill_pid, until
from tests.e2e.scene import EMBEDDED_BROKER, VEHICLE, Cloud, agent_program, status_of
from tests.e2e.site import Site
from tests.mqtt_client import MqttClient
from tests.ports import free_port
from tests.shared_data import shared
from tests.small_disk import small_disk

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

Closing = Callable[[Program], Program]


@pytest.fixture
def closing() -> Iterator[Closing]:
    programs: list[Program] = []

    def keep(program: Program) -> Program:
        programs.append(program)
        return program

    yield keep
    for program in reversed(programs):
        program.close()


@pytest.fixture(scope="module")
def expected() -> rav4.Rows:
    return rav4.direct_decode()


def rav4_agent(folder: Path, url: str, *, speed: str) -> Program:
    return agent_program(
        folder,
        url=url,
        log=rav4.log_file(),
        databases={name: shared(path) for name, path in rav4.DATABASES.items()},
        speed=speed,
    )


def broker_of(cloud: Cloud) -> list[int]:
    return [
        pid for name in ("mosquitto", "nats-server") for pid in children_of(cloud.program.pid, name)
    ]


@pytest.mark.parametrize(
    ("uplink", "broker"), [("mqtt", "mosquitto"), ("mqtt", "nats-server"), ("grpc", "any")]
)
def test_every_sample_is_stored_once_although_everything_is_killed(
    tmp_path: Path, closing: Closing, expected: rav4.Rows, uplink: str, broker: str
):
    mqtt_port = free_port()
    cloud = Cloud(tmp_path, EMBEDDED_BROKER.format(port=mqtt_port, program=broker))
    closing(cloud.program)
    cloud.start()
    folder = cloud.add_vehicle()
    url = (
        f"mqtts://localhost:{mqtt_port}"
        if uplink == "mqtt"
        else f"grpcs://localhost:{cloud.grpc_port}"
    )
    agent = closing(rav4_agent(folder, url, speed="8"))
    total = rav4.count(expected)

    def reached(share: float) -> None:
        def done() -> bool:
            assert agent.is_running, agent.said()
            return cloud.rows() >= share * total

        until(f"{share:.0%} of the rows", done, within_s=60)

    agent.start()
    reached(0.10)
    agent.kill()
    agent.start()
    reached(0.30)
    cloud.program.kill()
    cloud.start()
    reached(0.50)
    for pid in broker_of(cloud):
        kill_pid(pid)
    reached(0.70)
    agent.kill()
    agent.start()

    assert agent.wait(120) == 0, agent.said()
    assert rav4.differences(rav4.stored(cloud.api, VEHICLE, cloud.key), expected) == []
    assert cloud.program.stop() == 0


# Their names send them to different shards.
FLEET = ["JTMRFREV8HJ000002", "JTMRFREV8HJ000003"]


def test_two_ingests_share_mosquitto_postgresql_and_two_shards_although_each_is_killed(
    tmp_path: Path, closing: Closing, expected: rav4.Rows
):
    with ExitStack() as stack:
        site = Site(tmp_path, stack, FLEET)
        for number in (0, 1):
            site.start_ingest(number)
        site.start_reader()
        url = f"mqtts://localhost:{site.mqtt_port}"
        agents = [closing(rav4_agent(tmp_path / vehicle, url, speed="6")) for vehicle in FLEET]
        total = 2 * rav4.count(expected)

        def reached(share: float) -> None:
            until(f"{share:.0%} of the rows", lambda: site.rows() >= share * total, within_s=90)

        for agent in agents:
            agent.start()
        reached(0.10)
        shares = [site.status(number)["counts"]["batches"] for number in (0, 1)]
        site.ingests[0].kill()
        reached(0.25)
        site.start_ingest(0)
        site.kill_broker()
        site.start_broker()
        reached(0.40)
        site.kill_postgres()
        reached(0.55)
        site.stores[0].kill()
        site.stores[0].start()
        reached(0.70)
        agents[1].kill()
        agents[1].start()

        assert [agent.wait(180) for agent in agents] == [0, 0], agents[0].said() + agents[1].said()
        for vehicle in FLEET:
            assert rav4.differences(rav4.stored(site.api, vehicle, site.key), expected) == []
        assert min(shares) > 0
        assert sorted(site.shard_vehicles()) == FLEET  # one on each
        assert [program.stop() for program in (*site.ingests, site.reader)] == [0, 0, 0]


YEAR_S = 365 * 86_400


def test_a_clock_that_jumps_a_year_in_vehicle_and_cloud_loses_nothing_and_is_told(
    tmp_path: Path, closing: Closing, expected: rav4.Rows
):
    wall = FakeWall(tmp_path / "wall")
    cloud = Cloud(tmp_path, EMBEDDED_BROKER.format(port=free_port(), program="any"))
    cloud.program.environment = wall.environment
    closing(cloud.program)
    cloud.start()
    folder = cloud.add_vehicle()
    agent = closing(rav4_agent(folder, f"grpcs://localhost:{cloud.grpc_port}", speed="4"))
    agent.environment = wall.environment
    total = rav4.count(expected)

    def reached(share: float) -> None:
        until(f"{share:.0%} of the rows", lambda: cloud.rows() >= share * total, within_s=60)

    agent.start()
    reached(0.20)
    wall.set(YEAR_S)
    until("the agent's word", lambda: "clock_jumped" in agent.said())
    until("the cloud's word", lambda: "clock_jumped" in cloud.program.said())
    wall.set(-YEAR_S)
    reached(0.60)
    wall.set(0)

    assert agent.wait(120) == 0, agent.said()
    # The store's threads are slow under a false clock; what is stored is there for a true one as well.
    assert cloud.program.stop() == 0
    cloud.program.environment = {}
    cloud.start()
    assert rav4.differences(rav4.stored(cloud.api, VEHICLE, cloud.key), expected) == []


def test_full_disks_of_vehicle_and_cloud_cost_nothing_acknowledged_and_are_told(
    tmp_path: Path, closing: Closing, expected: rav4.Rows
):
    with ExitStack() as stack:
        spool = stack.enter_context(small_disk(tmp_path / VEHICLE, 64 * 1024 * 1024))
        data = stack.enter_context(small_disk(tmp_path / "cloud", 512 * 1024 * 1024))
        cloud = Cloud(tmp_path, EMBEDDED_BROKER.format(port=free_port(), program="any"))
        closing(cloud.program)
        cloud.start()
        folder = cloud.add_vehicle()
        agent = closing(rav4_agent(folder, f"grpcs://localhost:{cloud.grpc_port}", speed="8"))
        total = rav4.count(expected)

        def reached(share: float) -> None:
            until(f"{share:.0%} of the rows", lambda: cloud.rows() >= share * total, within_s=60)

        agent.start()
        reached(0.15)
        data.fill()
        until("the cloud's word", lambda: not cloud.ingest().get("healthy", True))
        data.clear()
        reached(0.40)
        spool.fill()
        until("the agent's word", lambda: "spool_unavailable" in agent.said())
        spool.clear()

        assert agent.wait(120) == 0, agent.said()
        assert rav4.differences(rav4.stored(cloud.api, VEHICLE, cloud.key), expected) == []
        assert cloud.program.stop() == 0


def test_garbage_at_every_door_changes_nothing_stored(
    tmp_path: Path, closing: Closing, expected: rav4.Rows
):
    mqtt_port = free_port()
    cloud = Cloud(tmp_path, EMBEDDED_BROKER.format(port=mqtt_port, program="any"))
    closing(cloud.program)
    cloud.start()
    folder = cloud.add_vehicle()
    url = f"grpcs://localhost:{cloud.grpc_port}"
    agent = closing(rav4_agent(folder, url, speed='"max"'))
    agent.start()
    assert agent.wait(120) == 0, agent.said()
    randomness = random.Random(7)

    def anything(most: int) -> bytes:
        return randomness.randbytes(randomness.randint(1, most))

    with MqttClient(
        mqtt_port,
        name=VEHICLE,
        ca=folder / "ca.pem",
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
    ) as client:
        assert client.is_connected(10)
        sent = [client.publish(up_telemetry(VEHICLE), anything(5000)) for _ in range(200)]
        for message in sent:
            message.wait_for_publish(30)
    for port in (mqtt_port, cloud.grpc_port, int(cloud.api.rpartition(":")[2])):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
                raw.sendall(anything(5000))
    paths = ["/v1/vehicles/%s/signals", "/v1/%s", "/v1/vehicles?limit=%s", "/%s"]
    for number in range(100):
        path = paths[number % len(paths)] % urllib.parse.quote(anything(60))
        assert 200 <= status_of(f"{cloud.api}{path}", cloud.key) < 500

    until("200 misfits", lambda: cloud.ingest()["counts"]["unreadable"] >= 200)
    assert cloud.program.is_running
    assert "Traceback" not in cloud.program.said()
    assert rav4.differences(rav4.stored(cloud.api, VEHICLE, cloud.key), expected) == []
