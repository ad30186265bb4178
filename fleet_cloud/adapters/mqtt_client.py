"""paho's client for a door through which thousands of messages come in a second.

paho asks the kernel before every packet, reads each in three pieces or more, and wakes its thread for every
acknowledgement.  With the lock of the interpreter taken by decoding, each of these is a wait.

    socket --all that is there--> buffer --packets, in paho's pieces--> paho
    acknowledgements of a group --one piece--> paho --one write--> socket

Rule 1: what is buffered counts as pending, so that paho never waits for the socket while packets lie here.
Rule 2: what waits to be written goes before what is buffered, or BUSY would come too late.
Rule 3: only paho's network thread reads.
"""

import ssl
import struct
from collections.abc import Sequence
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from fairway.errors import BadInput
from fleet_cloud.adapters.addresses import BrokerAddress

# What is read at once: two hundred small messages, or a piece of a large one.
READ_AHEAD_BYTES = 256 * 1024
_RECORD_BYTES = 16_384  # TLS has no larger one
_TLS_PORT, _PLAIN_PORT, _WEB_PORT = 8883, 1883, 443
_PUBACK = struct.Struct(">BBH")


class ReadAheadSocket(ssl.SSLSocket):
    """A TLS socket that reads all that is there and hands it out in pieces."""

    _ahead = b""
    _at = 0

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self._at == len(self._ahead):
            self._ahead, self._at = self._all_there_is(flags), 0
        piece = self._ahead[self._at : self._at + buflen]
        self._at += len(piece)
        return piece

    def pending(self) -> int:
        return len(self._ahead) - self._at or super().pending()

    def _all_there_is(self, flags: int) -> bytes:
        pieces = [super().recv(_RECORD_BYTES, flags)]
        size = len(pieces[0])
        if self.gettimeout() == 0.0:
            try:
                while pieces[-1] and size < READ_AHEAD_BYTES:
                    pieces.append(super().recv(_RECORD_BYTES, flags))
                    size += len(pieces[-1])
            except OSError:
                pass  # nothing more for now; what is wrong with the socket is found at the next read
        return b"".join(pieces)


class MqttClient(paho.Client):
    """A client that reads ahead, where its TLS context makes a ReadAheadSocket."""

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        result = super().loop_read(max_packets)
        while (
            result == MQTTErrorCode.MQTT_ERR_SUCCESS
            and self._has_read_ahead()
            and not self.want_write()
        ):
            result = super().loop_read(max_packets)
        return result

    def acknowledge(self, messages: Sequence[int]) -> None:
        """Acknowledge `messages` of QoS 1, by their packet ids, in one write."""
        if messages:
            packets = b"".join([_PUBACK.pack(paho.PUBACK, 2, message) for message in messages])
            self._packet_queue(paho.PUBACK, packets, messages[0], 1)

    def _has_read_ahead(self) -> bool:
        socket = self.socket()
        return isinstance(socket, ReadAheadSocket) and socket.pending() > 0


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a broker is.  Raises BadInput for what is no URL of one."""
    try:
        parts = urlsplit(url)
        port = parts.port or (_TLS_PORT if parts.scheme == "mqtts" else _PLAIN_PORT)
    except ValueError as error:
        raise BadInput(f"{url!r} is not the URL of a broker: {error}") from error
    if parts.scheme not in ("mqtts", "mqtt") or not parts.hostname:
        raise BadInput(f"{url!r} is not the URL of a broker: write mqtts://host:port")
    return parts.hostname, port


def tls_context(address: BrokerAddress) -> ssl.SSLContext:
    """Return a context that reads ahead.  Raises BadInput for certificates that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=str(address.ca) if address.ca else None)
        if address.certificate and address.key:
            context.load_cert_chain(address.certificate, address.key)
    except OSError as error:
        files = [str(path) for path in (address.ca, address.certificate, address.key) if path]
        raise BadInput(f"cannot use {', '.join(files)} for TLS: {error}") from error
    context.sslsocket_class = ReadAheadSocket
    if host_and_port(address.url)[1] == _WEB_PORT:
        context.set_alpn_protocols(["x-amzn-mqtt-ca"])  # AWS IoT Core's MQTT on the web's port
    return context
