"""A session at a broker: topics are heard, and messages sent, over one connection after the other.

    broker --PUBLISH--> network thread --Heard--> whoever asked for it --acknowledge--> PUBACK

Rule 1: a message is acknowledged by whoever asked for it, when it is done with it.
Rule 2: MQTT 5 is tried first, for its shared subscriptions and receive maximum; 3.1.1 serves as well.
Rule 3: a kept session outlives connections: the broker keeps what was not acknowledged, and what comes in
        meanwhile, and sends it over the next one.
Rule 4: one process at a time has a kept session: its client id is its name.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fairway import log as logs
from fleet_cloud.adapters.addresses import BrokerAddress
from fleet_cloud.adapters.mqtt_client import MqttClient, host_and_port, tls_context

log = logs.get("fleet_cloud.mqtt")

KEEPALIVE_S = 60
RECONNECT_MIN_S, RECONNECT_MAX_S = 1, 15
# Brokers keep what waits for so long, when they are asked to; ours do for a week.
SESSION_EXPIRY_S = 7 * 86_400
# What is on its way to the broker, and waiting to be: beyond, it is dropped, and asked for again.
OUT_IN_FLIGHT_MAX = 1_000
OUT_QUEUED_MAX = 20_000


class Heard(NamedTuple):
    """A message, and what it is acknowledged by; a tuple, for thousands are made in a second."""

    topic: str
    payload: bytes
    connection: int
    packet: int
    qos: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a broker is asked for: all but the session's keeping of those that speak MQTT 5."""

    receive_maximum: int  # messages on their way to us at once
    packet_max_bytes: int | None = None  # what is larger the broker passes over
    keeps_session: bool = True
    share_group: str = ""  # where brokers can: each message goes to one process of this group


class MqttSession:
    """Hears topics in a session of its own, and speaks."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        topics: Sequence[str],
        terms: Terms,
        hear: Callable[[Heard], None],
    ) -> None:
        self._address, self._client_id = address, client_id
        self._topics, self._terms, self._hear = topics, terms, hear
        self._connection = 0
        self._subscribed = threading.Event()
        self._stopping = False
        self._unreachable = ""  # why, as last told
        self._client = self._made(MQTTProtocolVersion.MQTTv5)

    @property
    def connected(self) -> bool:
        """Whether messages can come in now."""
        return self._subscribed.is_set()

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stopping

    @property
    def connection(self) -> int:
        """Counts connections: an acknowledgement belongs to the one its message came over."""
        return self._connection

    def start(self) -> None:
        """Begin to connect, and go on for ever.  Raises BadInput for an address that cannot work."""
        self._run(self._client)

    def wait_connected(self, timeout_s: float) -> bool:
        """Return whether everything is heard within `timeout_s`."""
        return self._subscribed.wait(timeout_s)

    def stop(self) -> None:
        """End the connection, after what was handed over before; a kept session stays."""
        self._stopping = True
        client = self._client
        client.disconnect()
        client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo | None:
        """Send a message once, at least; when too many wait already it is dropped.

        None: it is not on its way yet, or never will be, for want of a connection or of room.
        """
        sent = self._client.publish(topic, payload, qos=1)
        return sent if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def acknowledge(self, *heard: Heard) -> None:
        """Have the broker forget those messages that came over this connection."""
        now = self._connection
        self._client.acknowledge(
            [packet for _, _, connection, packet, qos in heard if connection == now and qos == 1]
        )

    def _run(self, client: MqttClient) -> None:
        host, port = host_and_port(self._address.url)
        more: dict[str, Any] = {}
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = self._terms.receive_maximum
            if self._terms.packet_max_bytes is not None:
                properties.MaximumPacketSize = self._terms.packet_max_bytes
            if self._terms.keeps_session:
                properties.SessionExpiryInterval = SESSION_EXPIRY_S
            more = {"clean_start": not self._terms.keeps_session, "properties": properties}
        client.connect_async(host, port, keepalive=KEEPALIVE_S, **more)
        client.loop_start()

    def _made(self, protocol: MQTTProtocolVersion) -> MqttClient:
        is_5 = protocol == MQTTProtocolVersion.MQTTv5
        client = MqttClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=protocol,
            clean_session=None if is_5 else not self._terms.keeps_session,
            manual_ack=True,
        )
        if self._address.url.startswith("mqtts://"):
            client.tls_set_context(tls_context(self._address))
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password or None)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.max_inflight_messages_set(OUT_IN_FLIGHT_MAX)
        client.max_queued_messages_set(OUT_QUEUED_MAX)
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
        group = self._terms.share_group
        is_shared = (
            group
            and client.protocol == MQTTProtocolVersion.MQTTv5
            and getattr(properties, "SharedSubscriptionAvailable", 1) != 0
        )
        before = f"$share/{group}/" if is_shared else ""
        # Mosquitto shares no topics that begin with $: each process hears all of those.
        client.subscribe(
            [(topic if topic.startswith("$") else before + topic, 1) for topic in self._topics]
        )

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
        # A kept session is known by its topics and its name; clean ones are all alike.
        url, is_kept = self._address.url, self._terms.keeps_session
        failed = [place for place, reason in enumerate(reasons) if reason.is_failure]
        if failed:
            why = {"topic": self._topics[failed[0]]} if is_kept else {"reason": str(reasons[0])}
            log.error("broker_refuses_subscription", url=url, **why)
            return
        self._unreachable = ""
        self._subscribed.set()
        who = {"client_id": self._client_id} if is_kept else {}
        log.info("broker_connected", url=url, **who)

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
        payload = bytes(received.payload)
        self._hear(Heard(received.topic, payload, self._connection, received.mid, received.qos))
