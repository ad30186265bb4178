"""A small MQTT client for tests: connects with a certificate, publishes, and collects what it hears."""

import ssl
import threading
from queue import Empty, Queue

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class MqttClient:
    """A connected client; use it in a `with`."""

    def __init__(
        self,
        port: int,
        *,
        ca,
        certificate,
        key,
        name: str,
        will=None,  # topic and payload
        is_clean=True,
    ):
        self._connected = threading.Event()
        self._answers: Queue[bool] = Queue()
        self.ended = (
            threading.Event()
        )  # a connection that was open once has been ended by the broker
        self._port = port
        self.heard: Queue[tuple[str, bytes]] = Queue()
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(certificate), str(key))
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=paho.MQTTv311,
            clean_session=is_clean,
        )
        self._client.tls_set_context(context)
        if will is not None:
            topic, payload = will
            self._client.will_set(topic, payload, qos=1)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: (
            None if reason.is_failure else self._connected.set()
        )
        self._client.on_disconnect = lambda *_: self._over()
        self._client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(
            not any(reason.is_failure for reason in reasons)
        )
        self._client.on_message = lambda _c, _u, m: self.heard.put((m.topic, bytes(m.payload)))
        self._client.reconnect_delay_set(1, 1)

    def __enter__(self):
        self._client.connect_async("127.0.0.1", self._port, keepalive=30)
        self._client.loop_start()
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def is_connected(self, within_s: float = 5.0) -> bool:
        """Whether the broker took the connection, and keeps it."""
        return self._connected.wait(within_s)

    def subscribe(self, topic: str) -> bool | None:
        """Return whether the broker grants it; None when it does not answer, for it may hang up instead."""
        self._client.subscribe(topic, qos=1)
        try:
            return self._answers.get(timeout=5)
        except Empty:
            return None

    def publish(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
        return self._client.publish(topic, payload, qos=1)

    def vanish(self) -> None:
        """End as in a tunnel: without a word."""
        self._client.loop_stop()
        if (socket := self._client.socket()) is not None:
            socket.close()

    def hears(self, within_s: float = 5.0) -> tuple[str, bytes] | None:
        """The next message, or None when there is none in time."""
        try:
            return self.heard.get(timeout=within_s)
        except Empty:
            return None

    def _over(self) -> None:
        if self._connected.is_set():
            self._connected.clear()
            self.ended.set()
