"""A small MQTT client for tests: connects with a certificate, publishes, and collects what it hears."""

import ssl
import threading
from queue import Empty, Queue

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class MqttClient:
    """A connected client; use it in a `with`."""

    def __init__(self, port: int, *, ca, certificate, key, name: str) -> None:
        self._connected = threading.Event()
        self._subscribed = threading.Event()
        self._port = port
        self.heard: Queue[tuple[str, bytes]] = Queue()
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(certificate), str(key))
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311, clean_session=True
        )
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *_: self._connected.set()
        self._client.on_disconnect = lambda *_: self._connected.clear()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
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

    def subscribe(self, topic: str) -> None:
        self._subscribed.clear()
        self._client.subscribe(topic, qos=1)
        self._subscribed.wait(5)

    def publish(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
        return self._client.publish(topic, payload, qos=1)

    def hears(self, within_s: float = 5.0) -> tuple[str, bytes] | None:
        """The next message, or None when there is none in time."""
        try:
            return self.heard.get(timeout=within_s)
        except Empty:
            return None
