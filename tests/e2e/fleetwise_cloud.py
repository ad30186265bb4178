"""A stand-in for a cloud of AWS IoT FleetWise, written from its public interface and nothing of ours.

It sends a decoder manifest and campaigns when an agent checks in without them, and keeps what the agent sends.
"""

import asyncio
import queue
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.fleetwise_peer import peer

NAME = "my-car"
OWN = f"$aws/iotfleetwise/vehicles/{NAME}/"
BRAKE = "arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/brake/1"


class FleetWiseCloud:
    """One vehicle's cloud; use it in a `with`."""

    def __init__(self, port: int) -> None:
        self.manifest = peer["DecoderManifest"](sync_id="manifest-1")
        self.manifest.can_signals.add(
            signal_id=7, interface_id="1", message_id=0x123, start_bit=8, length=16,
            is_big_endian=True, factor=0.01, offset=-10.0, primitive_type=11,
        )  # fmt: skip
        self.manifest.can_signals.add(
            signal_id=8, interface_id="1", message_id=0x18FEF100, start_bit=0, length=8, factor=1.0
        )
        self.manifest.custom_decoding_signals.add(
            signal_id=9, interface_id="UDS", custom_decoding_id="Vehicle.DTC", primitive_type=12
        )
        self.schemes = peer["CollectionSchemes"](timestamp_ms_epoch=1)
        scheme = self.schemes.collection_schemes.add(
            campaign_sync_id=BRAKE,
            decoder_manifest_sync_id="manifest-1",
            expiry_time_ms_epoch=253_402_214_400_000,
            compress_collected_data=True,
        )
        tree = scheme.condition_based.condition_tree.node_operator
        tree.operator = 1
        tree.left_child.node_signal_id = 7
        tree.right_child.node_double_value = 50.0
        scheme.signal_information.add(signal_id=7, sample_buffer_size=10)
        scheme.signal_information.add(signal_id=8, sample_buffer_size=10)
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._ready = threading.Event()
        self._port = port
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="cloud", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{OWN}#", 1), ("$aws/commands/#", 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    def __enter__(self):
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, message) -> None:
        self._client.publish(topic, message.SerializeToString(), qos=1)

    async def hears(self, what: str) -> Any:
        """Return the next message of an agent on a topic that ends so."""
        while True:
            topic, payload = await asyncio.to_thread(self.heard.get, timeout=15)
            if topic.endswith(what):
                return payload

    def _on_message(self, _client, _user, message) -> None:
        if message.topic == f"{OWN}checkins":
            has = set(peer["Checkin"].FromString(message.payload).document_sync_ids)
            if self.manifest.sync_id not in has:
                self.send(f"{OWN}decoder_manifests", self.manifest)
            if not has >= {one.campaign_sync_id for one in self.schemes.collection_schemes}:
                self.send(f"{OWN}collection_schemes", self.schemes)
        self.heard.put((message.topic, message.payload))
