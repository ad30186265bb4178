"""One MQTT connection with topics of anybody's choice: publish with QoS 1, and hear when it has arrived.

    event loop --publish--> paho (one thread a connection) --> broker
    event loop <--call_soon_threadsafe-- message, arrival, loss

Rule 1: a connection is a fresh client with a clean session: what was in flight on a lost one is sent again by
        who knows what has no receipt, not by the client.
Rule 2: nothing of paho's thread touches ours but through `call_soon_threadsafe`.
Rule 3: a server is looked at before it is told anything: its certificate must be that of one to talk to.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.adapters.uplink_tls import Address, GuardedContext, hint, tls_context
from edge_agent.telemetry.sending import WINDOW_MAX_BATCHES
from fairway.errors import BadInput, Denied, Unavailable

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S = 60
# Messages on their way to us; more wait in the broker.
RECEIVE_MAXIMUM = 256
# A batch that waited this long in a broker has long been sent again.
EXPIRY_S = 3600
# A dictionary may go between any two batches.
_IN_FLIGHT_MAX = 2 * WINDOW_MAX_BATCHES
_TOPIC_AND_HEAD_BYTES = 160

_NOT_LET_IN = {
    "Not authorized",
    "Bad user name or password",
    "Client identifier not valid",
    "Banned",
    "Bad authentication method",
}


class SpeaksOnly311(Unavailable):
    """The broker refuses MQTT 5."""


class HungUp(Unavailable):
    """The broker ended the connection; before its first word it may mean the version."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are to a broker, and what we want to hear."""

    client_id: str
    topics: Sequence[str]  # without one of them there is no connection
    heard: Callable[[str, bytes], None]  # topic, message
    arrived: Callable[[int], None] = lambda _number: None
    optional: Sequence[str] = ()  # one that is refused is missed, no more


class MqttLine:
    """One client, one thread, one session."""

    def __init__(self, target: Address, caller: Caller, *, protocol: MQTTProtocolVersion) -> None:
        """Read the certificates.  Raises BadInput."""
        self._target, self._caller = target, caller
        self._is_5 = protocol == MQTTProtocolVersion.MQTTv5
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[Unavailable | Denied] = self._loop.create_future()
        self.refused: frozenset[str] = frozenset()  # optional topics that the broker keeps from us
        self._packet_max_bytes: int | None = None
        self._in_flight, self._in_flight_max = 0, _IN_FLIGHT_MAX
        self._has_room = asyncio.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=caller.client_id,
            protocol=protocol,
            clean_session=None if self._is_5 else True,
            reconnect_on_failure=False,
        )
        if target.is_secure:
            tls = tls_context(target)
            tls.sslsocket_class = _TidySocket
            client.tls_set_context(tls)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(_IN_FLIGHT_MAX)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _c, _u, message: self._tell(
            self._caller.heard, message.topic, bytes(message.payload)
        )
        client.on_publish = lambda _c, _u, number, _r, _p: self._tell(self._arrived, number)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self._tell(self._hung_up, str(reason))

    async def open(self) -> None:
        """Return once the broker has let us in and every topic is heard.  Raises Unavailable, Denied."""
        more: dict[str, Any] = {}
        if self._is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            more = {"clean_start": True, "properties": properties}
        target = self._target
        try:
            await self._apart(
                lambda: self._client.connect(target.host, target.port, KEEPALIVE_S, **more)
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"{target} cannot be reached: {error}{hint(error)}") from error
        self._client.loop_start()
        await self._ready

    async def _apart(self, work: Callable[[], object]) -> None:
        """Have `work` done in a thread that nobody waits for when we give up.  Raises what it raises.

        A host that takes a connection and then says nothing would hold up the end of the program.
        """
        done: asyncio.Future[None] = self._loop.create_future()

        def finish(error: BaseException | None) -> None:
            if done.done():
                self._client.disconnect()  # nobody wants this connection any more
            elif error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                self._tell(finish, error)
            else:
                self._tell(finish, None)

        threading.Thread(target=run, name="mqtt-connect", daemon=True).start()
        await done

    async def publish(self, topic: str, payload: bytes) -> int:
        """Send a message once the broker has room for one more; return the number that its arrival has.

        Raises Unavailable, Denied; BadInput for one that is larger than the broker takes.
        """
        while self._in_flight >= self._in_flight_max and not self.lost.done():
            self._has_room.clear()
            await self._has_room.wait()
        if self.lost.done():
            raise self.lost.result()
        most = self._packet_max_bytes
        if most is not None and len(payload) + _TOPIC_AND_HEAD_BYTES > most:
            raise BadInput(
                f"a message of {len(payload)} bytes is more than {self._target} takes ({most}): lower "
                "telemetry.batch_max_bytes"
            )
        properties = None
        if self._is_5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = EXPIRY_S
        told = self._client.publish(topic, payload, qos=1, properties=properties)
        if told.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise Unavailable(f"{self._target} takes no message: {paho.error_string(told.rc)}")
        self._in_flight += 1
        return told.mid

    async def close(self) -> None:
        """Say goodbye and wait for the thread."""
        self._client.disconnect()
        await asyncio.shield(asyncio.to_thread(self._client.loop_stop))
        # Without its way back to us the client is freed at once, and closes its sockets itself.
        client = self._client
        client.on_connect = client.on_subscribe = client.on_message = None
        client.on_publish = client.on_disconnect = None
        self._fail(Unavailable(f"the connection to {self._target} was closed"))

    # in paho's thread

    def _on_connect(
        self,
        client: paho.Client,
        _user: object,
        _flags: object,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(self._fail, self._refusal(reason))
            return
        self._in_flight_max = min(
            getattr(properties, "ReceiveMaximum", _IN_FLIGHT_MAX), _IN_FLIGHT_MAX
        )
        self._packet_max_bytes = getattr(properties, "MaximumPacketSize", None)
        client.subscribe([(topic, 1) for topic in (*self._caller.topics, *self._caller.optional)])

    def _on_subscribe(
        self, _client: object, _user: object, _mid: int, reasons: list[ReasonCode], _more: object
    ) -> None:
        wanted = (*self._caller.topics, *self._caller.optional)
        refused = {topic: why for topic, why in zip(wanted, reasons, strict=True) if why.is_failure}
        self.refused = frozenset(refused)
        for topic in self._caller.topics:
            if topic in refused:
                sentence = f"does not let this vehicle hear {topic}: {refused[topic]}"
                self._tell(self._fail, Denied(f"{self._target} {sentence}"))
                return
        self._tell(self._succeed)

    def _refusal(self, reason: ReasonCode) -> Unavailable | Denied:
        name = reason.getName()
        if self._is_5 and name == "Unsupported protocol version":
            return SpeaksOnly311(f"{self._target} does not speak MQTT 5")
        if name in _NOT_LET_IN:
            return Denied(f"{self._target} does not let this vehicle in: {name}")
        return Unavailable(f"{self._target} refuses the connection: {name}")

    def _tell(self, what: Any, *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(what, *arguments)

    # in our loop

    def _succeed(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _arrived(self, number: int) -> None:
        self._in_flight -= 1
        self._has_room.set()
        self._caller.arrived(number)

    def _hung_up(self, reason: str) -> None:
        if self._ready.done():
            self._fail(HungUp(f"the connection to {self._target} was lost: {reason}"))
        else:
            self._fail(
                HungUp(f"{self._target} hung up at once: does it know our certificate? ({reason})")
            )

    def _fail(self, error: Unavailable | Denied) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
            self._has_room.set()
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # looked at: it is no accident when nobody waits for it


class _TidySocket(ssl.SSLSocket):
    """A socket that does not stay open when the other side turns out to be nobody we trust, or talk to."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as ssl has it
        try:
            super().do_handshake(block)
            if isinstance(self.context, GuardedContext):
                self.context.check_server(self.getpeercert())
        except (OSError, Denied):
            self.close()
            raise
