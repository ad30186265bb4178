"""A stand-in for the C++ agent of AWS IoT FleetWise, written from its public interface and nothing of ours.

It connects by MQTT 5 with a certificate, subscribes to everything it has, checks in, keeps the documents it is
sent as its manager does (campaigns of another manifest are dropped), and sends events of what it is told.
"""

import queue
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import cramjam
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.fleetwise_peer import peer


class FleetWiseAgent:
    """One agent; use it in a `with`."""

    def __init__(
        self,
        port: int,
        *,
        vehicle: str,
        ca: Path,
        certificate: Path,
        key: Path,
        topic_prefix: str = "$aws/iotfleetwise/",
        commands_prefix: str = "$aws/commands/",
        jobs_prefix: str = "$aws/things/",
    ) -> None:
        self._port, self._vehicle = port, vehicle
        self.own = f"{topic_prefix}vehicles/{vehicle}/"
        self.commands = f"{commands_prefix}things/{vehicle}/executions/"
        self._subscriptions = [
            f"{self.own}collection_schemes",
            f"{self.own}decoder_manifests",
            f"{self.own}last_known_states/config",
            f"{self.commands}+/request/protobuf",
            f"{self.commands}+/response/accepted/protobuf",
            f"{self.commands}+/response/rejected/protobuf",
            f"{jobs_prefix}{vehicle}/jobs/notify",
            "$aws/events/job/+/cancellation_in_progress",
        ]
        self.manifest: Any = None
        self.schemes: dict[str, Any] = {}
        self.templates: dict[str, Any] = {}
        self.requests: queue.Queue[Any] = queue.Queue()
        self.refused: list[str] = []
        self._template_version = 0
        self._event_id = 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(certificate), str(key))
        context.set_alpn_protocols(["x-amzn-mqtt-ca"])  # what AWS's client offers on port 443
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=vehicle, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self):
        self._client.connect("127.0.0.1", self._port, keepalive=60)
        self._client.loop_start()
        assert self._ready.wait(20), f"subscriptions refused: {self.refused}"
        self.check_in()
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def check_in(self) -> None:
        """Say which documents there are."""
        with self._lock:
            ids = [*self.schemes, *self.templates]
            ids += [self.manifest.sync_id] if self.manifest else []
        message = peer["Checkin"](
            document_sync_ids=ids, timestamp_ms_epoch=time.time_ns() // 1_000_000
        )
        self._publish(f"{self.own}checkins", message.SerializeToString())

    def until(self, is_so, within_s: float = 15.0) -> None:
        """Wait for a state of this agent."""
        deadline = time.monotonic() + within_s
        while not is_so(self):
            assert time.monotonic() < deadline, "the agent waited in vain"
            time.sleep(0.02)

    def collect(self, sync_id: str, samples, *, dtcs=(), event_time_ms: int | None = None) -> bytes:
        """Send an event of a campaign: (signal id, ms after the event, value) each; return the payload."""
        scheme = self.schemes[sync_id]
        self._event_id += 1
        message = peer["VehicleData"](
            campaign_sync_id=sync_id,
            decoder_sync_id=scheme.decoder_manifest_sync_id,
            collection_event_id=self._event_id,
            collection_event_time_ms_epoch=event_time_ms or time.time_ns() // 1_000_000,
        )
        for number, relative_ms, value in samples:
            captured = message.captured_signals.add(signal_id=number, relative_time_ms=relative_ms)
            if isinstance(value, str):
                captured.string_value = value
            else:
                captured.double_value = value
        message.dtc_data.active_dtc_codes.extend(dtcs)
        payload = message.SerializeToString()
        if scheme.compress_collected_data:
            payload = bytes(cramjam.snappy.compress_raw(payload))
        self.send(payload)
        return payload

    def send(self, payload: bytes) -> None:
        """Send an event as it is."""
        self._publish(f"{self.own}signals", payload)

    def report(self, sync_id: str, **values) -> None:
        """Send last known values of a template: member=(signal id, value) each."""
        data = peer["LastKnownStateData"](collection_event_time_ms_epoch=1_700_000_000_000)
        captured = data.captured_state_template_signals.add(state_template_sync_id=sync_id)
        for member, (number, value) in values.items():
            captured.captured_signals.add(signal_id=number, **{member: value})
        self._publish(f"{self.own}last_known_states/data", data.SerializeToString())

    def answer(self, command_id: str, **fields) -> None:
        """Say what became of a command."""
        message = peer["CommandResponse"](command_id=command_id, **fields)
        topic = f"{self.commands}{command_id}/response/protobuf"
        self._publish(topic, message.SerializeToString())

    def _publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(15)

    def _on_connect(self, client, _user, _flags, reason, _properties) -> None:
        assert not reason.is_failure
        client.subscribe([(topic, 1) for topic in self._subscriptions])

    def _on_subscribe(self, _client, _user, _mid, reasons, _properties) -> None:
        self.refused = [
            topic for topic, one in zip(self._subscriptions, reasons, strict=True) if one.is_failure
        ]
        if not self.refused:
            self._ready.set()  # the agent does not go on before all are granted

    def _on_message(self, _client, _user, message) -> None:
        with self._lock:
            what = message.topic.removeprefix(self.own)
            if what == "decoder_manifests":
                self.manifest = peer["DecoderManifest"].FromString(message.payload)
                self._drop_other_schemes()
            elif what == "collection_schemes":
                found = peer["CollectionSchemes"].FromString(message.payload)
                self.schemes = {one.campaign_sync_id: one for one in found.collection_schemes}
                self._drop_other_schemes()
            elif what == "last_known_states/config":
                self._change_templates(peer["StateTemplates"].FromString(message.payload))
            elif message.topic.endswith("/request/protobuf"):
                self.requests.put(peer["CommandRequest"].FromString(message.payload))

    def _drop_other_schemes(self) -> None:
        own = self.manifest.sync_id if self.manifest else ""
        self.schemes = {
            name: one for name, one in self.schemes.items() if one.decoder_manifest_sync_id == own
        }

    def _change_templates(self, change) -> None:
        if change.version <= self._template_version:
            return
        self._template_version = change.version
        for one in change.state_template_sync_ids_to_remove:
            self.templates.pop(one, None)
        for one in change.state_templates_to_add:
            self.templates[one.state_template_sync_id] = one
