"""The MQTT door: telemetry and control messages from any broker in, receipts and orders out.

    broker --PUBLISH--> network thread --Intake--> ingest --answer--> PUBACK, and receipts to down/telemetry
                                       --Control-> PUBACK at once; down/control

Rule 1: whose message it is comes from the topic: the broker lets a vehicle publish below its own name only.
Rule 2: a message is acknowledged to the broker when it has been answered, so that the broker's limit on
unacknowledged messages holds back the flood.  When the intake stays full, batches are answered BUSY.
Rule 3: MQTT 5 is tried first, for its shared subscriptions and receive maximum; 3.1.1 serves as well.
Rule 4: sessions are clean: what was in flight when a process died is sent again by the vehicles.
Rule 5: of control messages few are on their way at once: a change for a large fleet does not hold receipts up.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, FairwayError
from fairway.telemetry import Outcome, Receipt, SealedBatch
from fairway.topics import (
    ALL_UP_CONTROL,
    ALL_UP_TELEMETRY,
    down_control,
    down_telemetry,
    up_control,
    vehicle_of,
)
from fairway.wire.telemetry import receipts_to_bytes, request_from_bytes
from fleet_cloud.adapters.addresses import BrokerAddress
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.mqtt_client import MqttClient, host_and_port, tls_context
from fleet_cloud.ingest.ports import Answer, Message
from fleet_cloud.ingest.status import Counts
from fleet_cloud.vehicles.rights import SHARE_GROUP

log = logs.get("fleet_cloud.mqtt")

# Messages the broker may have on their way to us: some hundred vehicles' windows, a tenth of a second of work.
RECEIVE_MAXIMUM = 2_000
# Receipts on their way to the broker, and waiting to be: beyond, they are dropped and the vehicle asks again.
RECEIPTS_IN_FLIGHT_MAX = 1_000
RECEIPTS_QUEUED_MAX = 20_000
# Lists and commands on their way: a tenth of a second of them, and far fewer than receipts may be.
CONTROL_IN_FLIGHT_MAX = 500
# How long the network thread stands still for a full intake before it begins to answer BUSY.
STALL_S = 1.0
TURNED_AWAY_RETRY_MS = 5_000
KEEPALIVE_S = 60
RECONNECT_MIN_S, RECONNECT_MAX_S = 1, 15


class MqttDoor:
    """Takes telemetry from a broker, and sends receipts through it."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        intake: Intake,
        clock: Clock,
        count: Callable[[Counts], None],
        control: Control | None = None,  # None: control messages are left to others
    ) -> None:
        self._address = address
        self._control = control
        self._control_sent: deque[paho.MQTTMessageInfo] = deque()  # the control thread's alone
        self._client_id = client_id
        self._intake = intake
        self._clock = clock
        self._count = count
        self._connection = (
            0  # counts connections: an acknowledgement belongs to the one it came over
        )
        self._subscribed = threading.Event()
        self._stopping = False
        self._unreachable = ""  # why, as last told
        self._client = self._made(MQTTProtocolVersion.MQTTv5)

    @property
    def connected(self) -> bool:
        """Whether messages can come in now."""
        return self._subscribed.is_set()

    def start(self) -> None:
        """Begin to connect, and go on for ever.  Raises BadInput for an address that cannot work."""
        self._run(self._client)

    def wait_connected(self, timeout_s: float) -> bool:
        """Return whether the door is open within `timeout_s`."""
        return self._subscribed.wait(timeout_s)

    def stop(self) -> None:
        """Close the door; receipts handed over before are sent first, as far as the broker takes them."""
        self._stopping = True
        client = self._client
        client.disconnect()
        client.loop_stop()

    def answer(self, answers: Sequence[Answer]) -> None:
        receipts: dict[str, list[Receipt]] = {}
        for answer in answers:
            if answer.receipt is not None:
                receipts.setdefault(answer.message.vehicle, []).append(answer.receipt)
        for vehicle, some in receipts.items():
            # Dropped when too many wait already: the vehicle sends the batch again and hears DUPLICATE.
            self._client.publish(down_telemetry(vehicle), receipts_to_bytes(some), qos=1)
        self._acknowledge([answer.message.token for answer in answers])

    @property
    def is_crowded(self) -> bool:
        """Whether as many control messages are on their way as may be; for the thread that sends them."""
        while self._control_sent and self._control_sent[0].is_published():
            self._control_sent.popleft()
        return len(self._control_sent) >= CONTROL_IN_FLIGHT_MAX

    def send_control(self, vehicle: str, data: bytes) -> bool:
        sent = self._client.publish(down_control(vehicle), data, qos=1)
        if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._control_sent.append(sent)
        return True

    def _acknowledge(self, tokens: Sequence[tuple[int, int, int]]) -> None:
        now = self._connection
        self._client.acknowledge(
            [message for connection, message, qos in tokens if connection == now and qos == 1]
        )

    def _run(self, client: MqttClient) -> None:
        host, port = host_and_port(self._address.url)
        is_5 = client.protocol == MQTTProtocolVersion.MQTTv5
        more: dict[str, Any] = {}
        if is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            more = {"clean_start": True, "properties": properties}
        client.connect_async(host, port, keepalive=KEEPALIVE_S, **more)
        client.loop_start()

    def _made(self, protocol: MQTTProtocolVersion) -> MqttClient:
        clean = None if protocol == MQTTProtocolVersion.MQTTv5 else True
        client = MqttClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=protocol,
            clean_session=clean,
            manual_ack=True,
        )
        if self._address.url.startswith("mqtts://"):
            client.tls_set_context(tls_context(self._address))
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password or None)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.max_inflight_messages_set(RECEIPTS_IN_FLIGHT_MAX)
        client.max_queued_messages_set(RECEIPTS_QUEUED_MAX)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self,
        client: paho.Client,
        _user: object,
        _flags: object,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.getName() == "Unsupported protocol version":
            self._speak_311()
            return
        if reason.is_failure:
            log.error("broker_refuses", url=self._address.url, reason=str(reason))
            return
        self._connection += 1
        is_shared = (
            client.protocol == MQTTProtocolVersion.MQTTv5
            and getattr(properties, "SharedSubscriptionAvailable", 1) != 0
        )
        topics = [ALL_UP_TELEMETRY, *([ALL_UP_CONTROL] if self._control else [])]
        shared = [f"$share/{SHARE_GROUP}/{topic}" for topic in topics] if is_shared else topics
        client.subscribe([(topic, 1) for topic in shared])

    def _on_connect_fail(self, _client: object, _user: object) -> None:
        # paho calls this while it handles the error, and tries again for ever: one line for each reason.
        reason = str(sys.exc_info()[1] or "no answer")
        if reason != self._unreachable:
            self._unreachable = reason
            log.error("broker_unreachable", url=self._address.url, reason=reason)

    def _speak_311(self) -> None:
        """Go on with MQTT 3.1.1; called in the network thread of the client that was refused."""
        refused = self._client
        refused.on_connect = refused.on_disconnect = None
        refused.disconnect()
        if not self._stopping:
            self._client = self._made(MQTTProtocolVersion.MQTTv311)
            self._run(self._client)

    def _on_subscribe(
        self,
        _client: object,
        _user: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("broker_refuses_subscription", url=self._address.url, reason=str(reasons[0]))
            return
        self._unreachable = ""
        self._subscribed.set()
        log.info("broker_connected", url=self._address.url)

    def _on_disconnect(
        self,
        _client: object,
        _user: object,
        _flags: object,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        self._connection += 1
        if self._subscribed.is_set() and not self._stopping:
            log.warning("broker_lost", url=self._address.url, reason=str(reason))
        self._subscribed.clear()

    def _on_message(self, _client: paho.Client, _user: object, received: paho.MQTTMessage) -> None:
        token = (self._connection, received.mid, received.qos)
        try:
            vehicle = vehicle_of(received.topic)
        except BadInput as error:
            log.warning("topic_refused", reason=str(error))
            self._count(Counts(messages=1, bytes=len(received.payload), denied=1))
            self._acknowledge([token])
            return
        if self._control is not None and received.topic == up_control(vehicle):
            if not self._control.offer(vehicle, bytes(received.payload), self):
                log.warning("control_full", vehicle=vehicle)
            self._acknowledge([token])
            return
        message = Message(vehicle, bytes(received.payload), self._clock.now_ns(), self, token)
        if not self._intake.offer(message, wait_s=STALL_S):
            self._turn_away(message)

    def _turn_away(self, message: Message) -> None:
        """Answer BUSY without ingest, which has its hands full."""
        if self._stopping:
            return  # unacknowledged and unanswered: it comes again
        self._count(Counts(messages=1, bytes=len(message.data), busy=1))
        receipt = None
        try:
            content = request_from_bytes(message.data, vehicle=message.vehicle)
        except FairwayError:
            content = (
                None  # if it matters it comes again, and ingest will say what is wrong with it
            )
        if isinstance(content, SealedBatch):
            name = content.name
            receipt = Receipt(
                name.stream, name.sequence, Outcome.BUSY, retry_after_ms=TURNED_AWAY_RETRY_MS
            )
        self.answer([Answer(message, receipt)])
