"""A socket that reads ahead gives every byte in order, and tells of what it holds."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.clock import SystemClock
from fleet_cloud.adapters.mqtt_client import ReadAheadSocket
from fleet_cloud.adapters.pki_files import FilePki

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@contextlib.contextmanager
def tls_pair(folder: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Lend both ends of a TLS connection; the second reads ahead and does not block."""
    pki = FilePki(folder)
    pki.ensure([], SystemClock().now_ns())
    ours = ssl.create_default_context(cafile=pki.ca)
    ours.sslsocket_class = ReadAheadSocket
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pki.server, pki.server_key)
    one, other = socket.socketpair()
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(
        target=lambda: accepted.append(theirs.wrap_socket(one, server_side=True))
    )
    thread.start()
    reader = ours.wrap_socket(other, server_hostname="localhost")
    thread.join()
    reader.settimeout(0.0)
    with accepted[0] as sender, reader:
        yield sender, reader


def test_records_that_are_there_are_read_at_once_and_given_in_pieces(tmp_path: Path):
    with tls_pair(tmp_path) as (sender, reader):
        for record in (b"one", b"two", b"three"):
            sender.sendall(record)

        assert reader.recv(1) == b"o"
        assert reader.pending() == len(b"netwothree")
        assert [reader.recv(4), reader.recv(100)] == [b"netw", b"othree"]
        assert reader.pending() == 0


def test_what_is_not_there_yet_is_waited_for(tmp_path: Path):
    with tls_pair(tmp_path) as (sender, reader):
        with pytest.raises(ssl.SSLWantReadError):
            reader.recv(1)
        sender.sendall(b"late")

        assert reader.recv(100) == b"late"


def test_what_came_before_the_end_is_given_before_the_end(tmp_path: Path):
    with tls_pair(tmp_path) as (sender, reader):
        sender.sendall(b"last")
        sender.settimeout(0.0)
        with contextlib.suppress(OSError):
            sender.unwrap()  # tells the end, and does not wait for ours

        assert [reader.recv(100), reader.recv(100)] == [b"last", b""]
