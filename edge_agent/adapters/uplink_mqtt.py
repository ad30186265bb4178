"""The MQTT uplink: telemetry and control published with QoS 1, answers heard on the vehicle's own topics.

    event loop --publish--> paho (one thread a connection) --> broker
    event loop <--call_soon_threadsafe-- on_message, on_disconnect

Rule 1: a connection is a fresh client with a clean session: what was in flight on a lost one is sent again by
        the window that knows what has no receipt, not by the client.
Rule 2: MQTT 5 is tried first; a broker that refuses it is spoken to in 3.1.1 from then on.  One that hangs up
        without a word is tried in either version in turn, until one has worked.
Rule 3: nothing of paho's thread touches ours but through `call_soon_threadsafe`.
Rule 4: a broker that does not let us hear the control topic costs the campaigns, not the telemetry.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.adapters.uplink_tls import Address, GuardedContext, hint, tls_context
from edge_agent.telemetry.sending import WINDOW_MAX_BATCHES
from fairway.errors import BadInput, Denied, Unavailable
from fairway.topics import client_id, down_control, down_telemetry, up_control, up_telemetry

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S = 60
# Receipts on their way to us; more wait in the broker.
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


class MqttUplink:
    """An uplink through a broker."""

    def __init__(self, target: Address, *, vehicle: str) -> None:
        """Read the certificates.  Raises BadInput."""
        self._target, self._vehicle = target, vehicle
        self._tls()
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._has_worked = False
        self._connection: _Connection | None = None

    def _tls(self) -> ssl.SSLContext | None:
        """Return what the files say now: the certificate may have been renewed."""
        context = tls_context(self._target) if self._target.is_secure else None
        if context is not None:
            context.sslsocket_class = _TidySocket
        return context

    async def connect(self) -> None:
        await self.close()
        try:
            await self._connect()
        except _SpeaksOnly311:
            self._protocol = MQTTProtocolVersion.MQTTv311
            await self._connect()
        except _HungUp:
            if not self._has_worked:
                is_5 = self._protocol == MQTTProtocolVersion.MQTTv5
                self._protocol = (
                    MQTTProtocolVersion.MQTTv311 if is_5 else MQTTProtocolVersion.MQTTv5
                )
            raise
        self._has_worked = True

    async def _connect(self) -> None:
        try:
            tls = self._tls()
        except BadInput as error:  # they were good when we started
            raise Unavailable(str(error)) from error
        connection = _Connection(self._target, self._vehicle, self._protocol, tls)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connection.open()
        except TimeoutError as error:
            await connection.close()
            raise Unavailable(
                f"{self._target} does not answer within {CONNECT_TIMEOUT_S:g} s"
            ) from error
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def send(self, request: bytes) -> None:
        await self._open().publish(up_telemetry(self._vehicle), request)

    async def receive(self) -> bytes:
        return await self._open().receive()

    async def send_control(self, request: bytes) -> None:
        await self._open().publish(up_control(self._vehicle), request)

    async def receive_control(self) -> bytes:
        return await self._open().receive_control()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _open(self) -> "_Connection":
        if self._connection is None:
            raise Unavailable(f"there is no connection to {self._target}")
        return self._connection


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


class _SpeaksOnly311(Unavailable):
    """The broker refuses MQTT 5."""


class _HungUp(Unavailable):
    """The broker ended the connection; before its first word it may mean the version."""


class _Connection:
    """One client, one thread, one session."""

    def __init__(
        self,
        target: Address,
        vehicle: str,
        protocol: MQTTProtocolVersion,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._target, self._vehicle = target, vehicle
        self._is_5 = protocol == MQTTProtocolVersion.MQTTv5
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._heard_control: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._has_control = True
        self._lost: Unavailable | Denied | None = None
        self._packet_max_bytes: int | None = None
        self._in_flight, self._in_flight_max = 0, _IN_FLIGHT_MAX
        self._acknowledged = asyncio.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id(vehicle),
            protocol=protocol,
            clean_session=None if self._is_5 else True,
            reconnect_on_failure=False,
        )
        if tls is not None:
            client.tls_set_context(tls)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(_IN_FLIGHT_MAX)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    async def open(self) -> None:
        """Return once the broker has let us in and will tell us of receipts."""
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

    async def publish(self, topic: str, request: bytes) -> None:
        """Give a message to the client's thread, once the broker has room for one more."""
        while self._in_flight >= self._in_flight_max and self._lost is None:
            self._acknowledged.clear()
            await self._acknowledged.wait()
        if self._lost is not None:
            raise self._lost
        most = self._packet_max_bytes
        if most is not None and len(request) + _TOPIC_AND_HEAD_BYTES > most:
            raise BadInput(
                f"a message of {len(request)} bytes is more than {self._target} takes ({most}): lower "
                "telemetry.batch_max_bytes"
            )
        properties = None
        if self._is_5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = EXPIRY_S
        told = self._client.publish(topic, request, qos=1, properties=properties)
        if told.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise Unavailable(f"{self._target} takes no message: {paho.error_string(told.rc)}")
        self._in_flight += 1

    async def receive(self) -> bytes:
        """Return the next receipts."""
        return await self._next(self._heard)

    async def receive_control(self) -> bytes:
        """Return the next message about campaigns."""
        if not self._has_control:
            raise BadInput(
                f"{self._target} does not let this vehicle hear {down_control(self._vehicle)}"
            )
        return await self._next(self._heard_control)

    async def _next(self, heard: asyncio.Queue[bytes | None]) -> bytes:
        response = await heard.get()
        if response is None:
            heard.put_nowait(None)  # for whoever asks again
            raise self._lost or Unavailable(f"the connection to {self._target} was closed")
        return response

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
        client.subscribe([(down_telemetry(self._vehicle), 1), (down_control(self._vehicle), 1)])

    def _on_subscribe(
        self,
        _client: object,
        _user: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        self._has_control = not reasons[-1].is_failure
        if reasons[0].is_failure:
            topic = down_telemetry(self._vehicle)
            self._tell(
                self._fail,
                Denied(f"{self._target} does not let this vehicle hear {topic}: {reasons[0]}"),
            )
        else:
            self._tell(self._succeed)

    def _on_message(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        is_control = message.topic == down_control(self._vehicle)
        heard = self._heard_control if is_control else self._heard
        self._tell(heard.put_nowait, bytes(message.payload))

    def _on_publish(
        self, _client: object, _user: object, _mid: int, _reason: object, _properties: object
    ) -> None:
        self._tell(self._one_acknowledged)

    def _on_disconnect(
        self,
        _client: object,
        _user: object,
        _flags: object,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        self._tell(self._hung_up, str(reason))

    def _refusal(self, reason: ReasonCode) -> Unavailable | Denied:
        name = reason.getName()
        if self._is_5 and name == "Unsupported protocol version":
            return _SpeaksOnly311(f"{self._target} does not speak MQTT 5")
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

    def _hung_up(self, reason: str) -> None:
        if self._ready.done():
            self._fail(_HungUp(f"the connection to {self._target} was lost: {reason}"))
        else:
            self._fail(
                _HungUp(f"{self._target} hung up at once: does it know our certificate? ({reason})")
            )

    def _one_acknowledged(self) -> None:
        self._in_flight -= 1
        self._acknowledged.set()

    def _fail(self, error: Unavailable | Denied) -> None:
        if self._lost is None:
            self._lost = error
            self._heard.put_nowait(None)
            self._heard_control.put_nowait(None)
            self._acknowledged.set()
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # looked at: it is no accident when nobody waits for it
