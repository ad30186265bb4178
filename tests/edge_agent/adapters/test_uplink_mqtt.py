"""Whom the MQTT uplink talks to: certificates, addresses, hosts that say nothing, and brokers with limits."""

import asyncio
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_agent.adapters.uplink_mqtt import MqttUplink
from edge_agent.adapters.uplink_tls import address
from fairway.errors import BadInput, Unavailable
from fairway.topics import down_telemetry, up_telemetry
from tests.brokers import mosquitto
from tests.certificates import Authority

VEHICLE = "CAR.1-x"

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


async def test_mqtt_shows_the_vehicles_certificate_to_a_broker_with_tls(tmp_path: Path):
    authority = Authority(tmp_path)
    vehicle = authority.vehicle(VEHICLE)
    rules = tmp_path / "rules"
    rules.write_text(
        f"user {VEHICLE}\ntopic write {up_telemetry(VEHICLE)}\ntopic read {down_telemetry(VEHICLE)}\n"
    )
    with mosquitto(tmp_path / "broker", authority=authority, more=f"acl_file {rules}") as broker:
        uplink = MqttUplink(
            address(
                f"mqtts://localhost:{broker.port}",
                ca=authority.ca,
                certificate=vehicle.certificate,
                key=vehicle.key,
            ),
            vehicle=VEHICLE,
        )
        await uplink.connect()
        await uplink.send(b"anything")
        await uplink.close()


async def test_mqtt_without_a_certificate_the_broker_knows_is_unavailable_in_one_sentence(
    tmp_path: Path,
):
    authority, stranger = Authority(tmp_path), Authority(tmp_path / "other", "Stranger")
    vehicle = stranger.vehicle(VEHICLE)
    with mosquitto(tmp_path / "broker", authority=authority) as broker:
        uplink = MqttUplink(
            address(
                f"mqtts://localhost:{broker.port}",
                ca=authority.ca,
                certificate=vehicle.certificate,
                key=vehicle.key,
            ),
            vehicle=VEHICLE,
        )
        with pytest.raises(Unavailable, match="does it know our certificate"):
            await uplink.connect()


async def test_a_cloud_whose_certificate_is_not_of_our_authority_is_not_spoken_to(tmp_path: Path):
    authority, stranger = Authority(tmp_path), Authority(tmp_path / "other", "Stranger")
    with mosquitto(tmp_path / "broker", authority=stranger) as broker:
        uplink = MqttUplink(
            address(f"mqtts://localhost:{broker.port}", ca=authority.ca), vehicle=VEHICLE
        )
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await uplink.connect()


async def test_a_message_over_the_brokers_limit_is_named_and_the_connection_lives(tmp_path: Path):
    with mosquitto(tmp_path, more="max_packet_size 2000") as broker:
        uplink = MqttUplink(address(f"mqtt://127.0.0.1:{broker.port}"), vehicle=VEHICLE)
        await uplink.connect()

        with pytest.raises(BadInput, match=r"lower telemetry\.batch_max_bytes"):
            await uplink.send(b"x" * 3000)
        await uplink.send(b"anything")
        await uplink.close()


@pytest.mark.parametrize("url", ["", "http://x", "mqtts://", "grpcs://h:99999", "mqtts://h:x"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(BadInput, match="is not the URL of a cloud"):
        address(url)


def test_giving_up_on_a_host_that_takes_connections_and_says_nothing_takes_no_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        uplink = MqttUplink(
            address(f"mqtts://127.0.0.1:{silent.getsockname()[1]}"), vehicle=VEHICLE
        )

        async def give_up() -> None:
            connecting = asyncio.create_task(uplink.connect())
            taken, _ = await asyncio.to_thread(silent.accept)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            stack.callback(taken.close)

        with ExitStack() as stack:
            began_s = time.monotonic()
            asyncio.run(give_up())  # which waits for the threads that belong to the loop
            assert time.monotonic() - began_s < 5
    for thread in threading.enumerate():
        if thread.name == "mqtt-connect":
            thread.join(10)


def test_certificates_that_are_none_are_named(tmp_path: Path):
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")

    with pytest.raises(BadInput, match=r"broken\.pem: no certificates for mqtts://h:8883"):
        MqttUplink(address("mqtts://h", ca=broken), vehicle=VEHICLE)
    with pytest.raises(BadInput, match="give both, or neither"):
        address("grpcs://h", certificate=broken)
