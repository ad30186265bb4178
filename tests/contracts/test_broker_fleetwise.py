"""What every broker the cloud runs does for agents of AWS IoT FleetWise, with real programs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.clock import SystemClock
from fairway.fleetwise.topics import Prefixes
from fairway.topics import client_id, up_telemetry
from fleet_cloud.adapters.broker_child import BrokerPlace, find_program, make_broker
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.registry import FLEETWISE_NAME
from tests.issued import keys_of, members_by
from tests.mqtt_client import MqttClient
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CLOCK = SystemClock()
AGENT = Prefixes()
OWN = Prefixes("fleetwise/", "fleetwise/commands/", "fleetwise/things/")
BROKERS = [("mosquitto", AGENT), ("nats-server", AGENT), ("mosquitto", OWN)]


class Site:
    """A running broker with agents of FleetWise, and the keys to it."""

    def __init__(self, folder: Path, program: str, prefixes: Prefixes) -> None:
        self.topics = prefixes
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], CLOCK.now_ns())
        self.port = free_port()
        self.keys = {name: keys_of(self.pki, folder, name) for name in ("VIN1", "VIN2", "a.b_c-1")}
        place = BrokerPlace(folder / "broker", "127.0.0.1", self.port, self.pki, prefixes)
        self.broker = make_broker(program, place, CLOCK)

    def agent(self, name: str) -> MqttClient:
        keys = self.keys[name]
        return MqttClient(
            self.port, ca=keys.ca, certificate=keys.certificate, key=keys.key, name=client_id(name)
        )

    def user(self, certificate: Path, key: Path, name: str) -> MqttClient:
        return MqttClient(self.port, ca=self.pki.ca, certificate=certificate, key=key, name=name)

    def door(self) -> MqttClient:
        return self.user(self.pki.fleetwise, self.pki.fleetwise_key, FLEETWISE_NAME)


@pytest.fixture(params=BROKERS, ids=["mosquitto", "nats-server", "own-prefixes"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    program, prefixes = request.param
    find_program(program)
    site = Site(tmp_path, program, prefixes)
    await site.broker.start(members_by(*site.keys.values()))
    yield site
    await site.broker.stop()


async def test_an_agent_and_the_door_speak_on_every_topic_of_theirs(site: Site):
    topics, name = site.topics, "a.b_c-1"

    def act():
        heard = []
        with site.door() as door, site.agent(name) as agent:
            assert door.is_connected()
            assert agent.is_connected()
            for topic in topics.up("+"):
                assert door.subscribe(topic)
            for topic in (*topics.down(name), *topics.heard(name)):
                assert agent.subscribe(topic)
            ups = [
                topics.checkins(name),
                topics.signals(name),
                topics.state_data(name),
                topics.response(name, "c1"),
            ]
            downs = [
                topics.schemes(name),
                topics.manifests(name),
                topics.state_config(name),
                topics.request(name, "c1"),
            ]
            for topic in ups:
                agent.publish(topic, b"up")
                heard.append(door.hears())
            for topic in downs:
                door.publish(topic, b"down")
                heard.append(agent.hears())
        return heard, [(one, b"up") for one in ups] + [(one, b"down") for one in downs]

    heard, expected = await asyncio.to_thread(act)

    assert heard == expected


async def test_an_agent_cannot_speak_or_listen_for_another(site: Site):
    topics = site.topics

    def act():
        with site.door() as door, site.agent("VIN1") as thief:
            assert door.is_connected()
            assert door.subscribe(topics.signals("+"))
            assert not thief.subscribe(topics.schemes("VIN2"))
            assert not thief.subscribe(topics.schemes("+"))
            assert not thief.subscribe(topics.request("VIN2", "+"))
            assert not thief.subscribe(topics.signals("VIN1"))
            assert not thief.subscribe(f"{topics.fleetwise}#")
            thief.is_connected()  # a broker may have thrown it out: it comes back
            thief.publish(topics.signals("VIN2"), b"in another's name")
            thief.publish(topics.schemes("VIN2"), b"as if it were the cloud")
            thief.is_connected()
            thief.publish(topics.signals("VIN1"), b"own").wait_for_publish(5)
            return door.hears()

    assert await asyncio.to_thread(act) == (topics.signals("VIN1"), b"own")


async def test_who_serves_agents_hears_nothing_else_and_the_cloud_does_not_hear_agents(site: Site):
    topics, pki = site.topics, site.pki

    def act():
        with (
            site.door() as door,
            site.user(pki.cloud, pki.cloud_key, "fairway-cloud") as cloud,
            site.agent("VIN1") as agent,
        ):
            assert door.is_connected()
            assert cloud.is_connected()
            assert agent.is_connected()
            asked = [
                door.subscribe("fairway/v1/+/up/telemetry"),
                cloud.subscribe(topics.signals("+")),
            ]
            door.is_connected()
            cloud.is_connected()
            cloud.publish(topics.schemes("VIN1"), b"not by the cloud")
            agent.publish(up_telemetry("VIN1"), b"telemetry")
            return asked, door.hears(1.0), agent.hears(0.5)

    asked, at_door, at_agent = await asyncio.to_thread(act)

    assert not any(asked)
    assert (at_door, at_agent) == (None, None)


async def test_a_vehicle_that_is_added_later_speaks_as_an_agent_too(site: Site):
    keys = site.keys
    await site.broker.allow(members_by(keys["VIN2"]))
    await site.broker.allow(members_by(keys["VIN1"], keys["VIN2"]))
    await asyncio.sleep(0.3)

    def act():
        with site.agent("VIN1") as agent:
            return agent.is_connected() and agent.subscribe(site.topics.schemes("VIN1"))

    assert await asyncio.to_thread(act)
