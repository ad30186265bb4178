"""What every broker the cloud runs must do, with real programs and real certificates."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairway.clock import NS_PER_S, SystemClock
from fairway.errors import Unavailable
from fairway.topics import client_id, down_telemetry, up_telemetry
from fleet_cloud.adapters import broker_child
from fleet_cloud.adapters.broker_child import (
    BrokerPlace,
    MosquittoBroker,
    NatsBroker,
    find_program,
    make_broker,
)
from fleet_cloud.adapters.child import Child
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.certificates import CertificateState, Member
from fleet_cloud.vehicles.registry import CLOUD_NAME
from tests.issued import Keys, keys_of, members_by
from tests.mqtt_client import MqttClient

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CLOCK = SystemClock()
DOTTED = "truck.7_b-1"  # NATS reads a dot as its own


class Site:
    """A running broker and the keys to it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], CLOCK.now_ns())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        place = BrokerPlace(folder / "broker", "127.0.0.1", self.port, self.pki)
        self._keys: dict[str, Keys] = {}
        self.broker: MosquittoBroker | NatsBroker = make_broker(program, place, CLOCK)

    def keys(self, name: str) -> Keys:
        if name not in self._keys:
            self._keys[name] = keys_of(self.pki, self.folder, name)
        return self._keys[name]

    def members(self, *names: str) -> dict[str, Member]:
        return members_by(*[self.keys(name) for name in names])

    def vehicle(self, name: str) -> MqttClient:
        return self.client(self.keys(name), name)

    def client(self, keys: Keys, name: str, **more: Any) -> MqttClient:
        return MqttClient(
            self.port,
            ca=keys.ca,
            certificate=keys.certificate,
            key=keys.key,
            name=client_id(name),
            **more,
        )

    def cloud(self) -> MqttClient:
        pki = self.pki
        return MqttClient(
            self.port, ca=pki.ca, certificate=pki.cloud, key=pki.cloud_key, name=CLOUD_NAME
        )


@pytest.fixture(params=["mosquitto", "nats-server"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    find_program(request.param)
    site = Site(tmp_path, request.param)
    await site.broker.start(site.members("VIN1", "VIN2", DOTTED))
    yield site
    await site.broker.stop()


def _in_thread(act):
    return asyncio.to_thread(act)


@pytest.mark.parametrize("name", ["VIN1", DOTTED])
async def test_a_vehicle_sends_up_and_hears_down(site: Site, name: str):
    def act():
        with site.cloud() as cloud, site.vehicle(name) as vehicle:
            assert cloud.is_connected()
            assert vehicle.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            vehicle.subscribe(down_telemetry(name))
            vehicle.publish(up_telemetry(name), b"up")
            heard_up = cloud.hears()
            cloud.publish(down_telemetry(name), b"down")
            return heard_up, vehicle.hears()

    heard_up, heard_down = await _in_thread(act)

    assert heard_up == (up_telemetry(name), b"up")
    assert heard_down == (down_telemetry(name), b"down")


async def test_a_vehicle_cannot_speak_or_listen_for_another(site: Site):
    def act():
        with site.cloud() as cloud, site.vehicle("VIN1") as thief:
            assert cloud.is_connected()
            assert thief.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            assert not thief.subscribe(down_telemetry("VIN2"))
            assert not thief.subscribe("fairway/v1/+/down/#")
            assert not thief.subscribe("#")
            thief.publish(up_telemetry("VIN2"), b"in another's name")
            cloud.publish(down_telemetry("VIN2"), b"for another's eyes")
            thief.is_connected()  # a broker may have thrown it out: it comes back
            thief.publish(up_telemetry("VIN1"), b"own").wait_for_publish(5)
            return cloud.hears(), thief.hears(0.5)

    heard_by_cloud, heard_by_thief = await _in_thread(act)

    assert heard_by_cloud == (up_telemetry("VIN1"), b"own")
    assert heard_by_thief is None


async def test_a_stranger_with_a_certificate_can_do_nothing(site: Site):
    def act():
        with site.cloud() as cloud, site.vehicle("stranger") as stranger:
            assert cloud.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            stranger.publish(up_telemetry("stranger"), b"hello")
            return cloud.hears(1.0)

    assert await _in_thread(act) is None


async def test_a_client_without_a_certificate_is_not_let_in(site: Site):
    def act():
        context = ssl.create_default_context(cafile=str(site.pki.ca))
        with (
            socket.create_connection(("127.0.0.1", site.port), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            tls.sendall(bytes.fromhex("10 0f 0004 4d515454 04 02 003c 0003 616263"))  # CONNECT abc
            return tls.recv(4)  # with TLS 1.3 the refusal comes after the handshake

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _in_thread(act)


async def test_an_added_vehicle_is_let_in_and_a_removed_one_is_denied(site: Site):
    def added():
        with site.cloud() as cloud, site.vehicle("VIN3") as vehicle:
            assert cloud.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            assert vehicle.is_connected()
            vehicle.publish(up_telemetry("VIN3"), b"hello")
            return cloud.hears()

    await site.broker.allow(site.members("VIN1", "VIN3"))
    await asyncio.sleep(0.3)
    heard = await _in_thread(added)
    await site.broker.allow(site.members("VIN1"))
    await asyncio.sleep(0.3)

    def removed():
        with site.cloud() as cloud, site.vehicle("VIN3") as vehicle:
            assert cloud.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            vehicle.publish(up_telemetry("VIN3"), b"hello")
            return cloud.hears(1.0)

    assert heard == (up_telemetry("VIN3"), b"hello")
    assert await _in_thread(removed) is None


async def test_a_removed_vehicle_is_denied_on_its_open_connection(site: Site):
    with site.cloud() as cloud, site.vehicle("VIN1") as vehicle:
        assert await _in_thread(cloud.is_connected)
        assert await _in_thread(vehicle.is_connected)
        cloud.subscribe("fairway/v1/+/up/telemetry")

        await site.broker.allow(site.members("VIN2"))
        await asyncio.sleep(0.5)
        vehicle.publish(up_telemetry("VIN1"), b"still here")

        assert await _in_thread(lambda: cloud.hears(1.0)) is None


@pytest.mark.parametrize(("whose", "is_heard"), [("VIN1", True), ("VIN2", False)])
async def test_a_last_will_is_held_to_the_same_rules(site: Site, whose: str, *, is_heard: bool):
    def act():
        will = (up_telemetry(whose), b"a last word")
        with site.cloud() as cloud, site.client(site.keys("VIN1"), "VIN1", will=will) as dying:
            assert cloud.is_connected()
            cloud.subscribe("fairway/v1/+/up/telemetry")
            dying.is_connected(2.0)
            dying.vanish()
            return cloud.hears(2.0)

    heard = await _in_thread(act)

    assert heard == ((up_telemetry(whose), b"a last word") if is_heard else None)


async def test_what_waits_for_a_vehicle_is_not_handed_to_who_takes_its_client_id(site: Site):
    def act():
        secret = (down_telemetry("VIN2"), b"for VIN2 alone")
        with site.cloud() as cloud:
            assert cloud.is_connected()
            with site.client(site.keys("VIN2"), "VIN2", is_clean=False) as victim:
                assert victim.is_connected()
                assert victim.subscribe(secret[0])
            cloud.publish(*secret).wait_for_publish(5)
            with site.client(site.keys("VIN1"), "VIN2", is_clean=False) as thief:
                assert thief.is_connected()
                stolen = thief.hears(1.0)
            with site.client(site.keys("VIN2"), "VIN2", is_clean=False) as victim:
                # A session that the thief had for a moment is given what waits again after nats-server's 30 s.
                return stolen, victim.hears(45.0), secret

    stolen, kept, secret = await _in_thread(act)

    assert stolen is None
    assert kept == secret


async def test_who_loses_one_of_two_certificates_is_cut_off_and_comes_back_by_the_other(site: Site):
    lost, kept = (keys_of(site.pki, site.folder, "VIN3") for _ in range(2))
    others = [site.keys(name) for name in ("VIN1", "VIN2")]
    await site.broker.allow(members_by(*others, lost, kept))

    def before():
        client = site.client(lost, "VIN3").__enter__()
        assert client.is_connected()
        return client

    client = await _in_thread(before)
    with site.vehicle("VIN1") as other:
        assert await _in_thread(other.is_connected)
        revoked = replace(lost.record, state=CertificateState.REVOKED)
        site.pki.write_revocations([revoked, kept.record], CLOCK.now_ns())
        await site.broker.allow(members_by(*others, kept))

        assert await _in_thread(lambda: client.ended.wait(5))
        assert not await _in_thread(lambda: client.is_connected(2.5))  # it tries every second
        client.__exit__()
        with site.client(kept, "VIN3") as again:
            assert await _in_thread(again.is_connected)
            assert await _in_thread(lambda: again.subscribe(down_telemetry("VIN3")))
        assert not other.ended.is_set()


async def test_a_tenant_that_is_new_is_let_in(site: Site):
    site.pki.add_tenant("acme", CLOCK.now_ns())
    new = keys_of(site.pki, site.folder, "VIN9", tenant="acme")
    await site.broker.allow(members_by(new))

    def act():
        with site.client(new, "VIN9") as vehicle:
            return vehicle.is_connected() and vehicle.subscribe(down_telemetry("VIN9"))

    assert await _in_thread(act)


async def test_a_great_change_is_no_different(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(broker_child, "_TELLING_MAX_S", 0.0)  # as if the fleet were very large
    await site.broker.allow(site.members("VIN2", "VIN3"))

    def act():
        with site.vehicle("VIN3") as vehicle, site.vehicle("VIN1") as gone:
            is_in = vehicle.is_connected() and vehicle.subscribe(down_telemetry("VIN3"))
            return is_in, gone.is_connected(1.0) and gone.subscribe(down_telemetry("VIN1"))

    assert await _in_thread(act) == (True, False)


async def test_a_killed_broker_is_back_on_its_port(site: Site):
    first = site.broker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def act():
        with site.vehicle("VIN1") as vehicle, site.cloud() as cloud:
            assert cloud.is_connected(10)
            assert vehicle.is_connected(10)
            cloud.subscribe("fairway/v1/+/up/telemetry")
            vehicle.publish(up_telemetry("VIN1"), b"back")
            return cloud.hears()

    await asyncio.sleep(0.1)
    assert await _in_thread(act) == (up_telemetry("VIN1"), b"back")
    assert site.broker.pid not in (None, first)


async def test_a_disk_that_is_full_when_the_fleet_changes_is_told(site: Site):
    rules = site.folder / "broker"
    rules.rename(site.folder / "elsewhere")
    rules.write_text("a file where a folder should be")

    with pytest.raises(Unavailable, match="cannot write the broker's"):
        await site.broker.allow(site.members("VIN1"))


async def test_a_port_in_use_is_named(site: Site):
    second = Site(site.folder / "second", "mosquitto")
    place = BrokerPlace(site.folder / "third", "127.0.0.1", site.port, second.pki)

    with pytest.raises(Unavailable, match=f"127.0.0.1:{site.port}: Address already in use"):
        await make_broker("mosquitto", place, CLOCK).start({})


async def test_an_address_of_another_machine_is_told_at_once(tmp_path: Path):
    child = Child(["/bin/true"], host="192.0.2.9", port=8883, clock=CLOCK)

    begun_ns = CLOCK.monotonic_ns()
    with pytest.raises(Unavailable, match="cannot listen on 192.0.2.9:8883"):
        await child.start()
    assert CLOCK.monotonic_ns() - begun_ns < 5 * NS_PER_S
