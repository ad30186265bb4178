"""One MQTT connection with topics of anybody's choice: publish with QoS 1, and hear when it has arrived.

Rule 1: a connection is a fresh client with a clean session: what was in flight on a lost one is sent again by
        who knows what has no receipt.
Rule 2: nothing of paho's thread touches ours but through `call_soon_threadsafe`.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.adapters.uplink_tls import Address, hint
from fairway.errors import BadInput, Denied, Unavailable

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S = 60
IN_FLIGHT_MAX = 64
_HEAD_BYTES = 256
_NOT_LET_IN = ("Not authorized", "Bad user name or password", "Banned")


class SpeaksOnly311(Unavailable):
    """The broker refuses MQTT 5."""


class MqttLine:
    """One client, one thread, one session."""

    def __init__(  # noqa: PLR0913 - a connection has that many sides
        self,
        target: Address,
        *,
        client_id: str,
        topics: Sequence[str],
        heard: Callable[[str, bytes], None],
        arrived: Callable[[int], None],
        protocol: MQTTProtocolVersion,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._target, self._topics, self._heard, self._arrived = target, topics, heard, arrived
        self._is_5 = protocol == MQTTProtocolVersion.MQTTv5
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[Unavailable | Denied] = self._loop.create_future()
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._packet_max_bytes: int | None = None
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=protocol,
            clean_session=None if self._is_5 else True,
            reconnect_on_failure=False,
        )
        if tls is not None:
            client.tls_set_context(tls)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _c, _u, message: self._tell(
            self._heard, message.topic, bytes(message.payload)
        )
        client.on_publish = lambda _c, _u, mid, _r, _p: self._tell(self._has_arrived, mid)
        client.on_disconnect = self._on_disconnect

    async def open(self) -> None:
        """Return once every topic is heard.  Raises Unavailable, Denied."""
        more: dict[str, Any] = {"clean_start": True} if self._is_5 else {}
        target = self._target
        try:
            await asyncio.to_thread(
                lambda: self._client.connect(target.host, target.port, KEEPALIVE_S, **more)
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"{target} cannot be reached: {error}{hint(error)}") from error
        self._client.loop_start()
        await self._ready

    async def publish(self, topic: str, payload: bytes) -> int:
        """Send a message, and return by what number its arrival will be told.  Raises Unavailable, BadInput."""
        most = self._packet_max_bytes
        if most is not None and len(payload) + _HEAD_BYTES > most:
            raise BadInput(
                f"a message of {len(payload)} bytes is more than {self._target} takes ({most})"
            )
        waiting = asyncio.ensure_future(self._room.acquire())
        await asyncio.wait((waiting, self.lost), return_when=asyncio.FIRST_COMPLETED)
        if self.lost.done():
            waiting.cancel()
            raise self.lost.result()
        told = self._client.publish(topic, payload, qos=1)
        if told.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise Unavailable(f"{self._target} takes no message: {paho.error_string(told.rc)}")
        return told.mid

    async def close(self) -> None:
        """Say goodbye and wait for the thread."""
        self._client.disconnect()
        await asyncio.shield(asyncio.to_thread(self._client.loop_stop))
        client = self._client
        client.on_connect = client.on_subscribe = client.on_message = None
        client.on_publish = client.on_disconnect = None
        self._fail(Unavailable(f"the connection to {self._target} was closed"))

    def _on_connect(
        self, client: paho.Client, _user: object, _flags: object, reason: ReasonCode, more: Any
    ) -> None:
        name = reason.getName()
        if reason.is_failure and self._is_5 and name == "Unsupported protocol version":
            self._tell(self._fail, SpeaksOnly311(f"{self._target} does not speak MQTT 5"))
        elif reason.is_failure:
            kind = Denied if name in _NOT_LET_IN else Unavailable
            self._tell(self._fail, kind(f"{self._target} does not let this vehicle in: {name}"))
        else:
            self._packet_max_bytes = getattr(more, "MaximumPacketSize", None)
            client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(
        self, _client: object, _user: object, _mid: int, reasons: list[ReasonCode], _more: object
    ) -> None:
        refused = [
            topic for topic, one in zip(self._topics, reasons, strict=True) if one.is_failure
        ]
        if refused:
            sentence = f"{self._target} does not let this vehicle hear {refused[0]}"
            self._tell(self._fail, Denied(sentence))
        else:
            self._tell(self._succeed)

    def _on_disconnect(
        self, _client: object, _user: object, _flags: object, reason: ReasonCode, _more: object
    ) -> None:
        self._tell(self._fail, Unavailable(f"the connection to {self._target} was lost: {reason}"))

    def _tell(self, what: Any, *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(what, *arguments)

    def _succeed(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _has_arrived(self, number: int) -> None:
        self._room.release()
        self._arrived(number)

    def _fail(self, error: Unavailable | Denied) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # looked at: it is no accident when nobody waits for it
