"""The road between a vehicle and its cloud, with somebody who counts what passes, and can close it.

    agent <- server certificate of the cloud - [ tap ] - certificate of the vehicle -> fleet-cloud

Every message goes on as it came, both ways, and what the cloud answers ends a stream as it would without.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from fairway.telemetry import CampaignEvent, Outcome, SealedBatch
from fairway.wire.telemetry import receipts_from_bytes, request_from_bytes
from tests.ports import free_port

TELEMETRY = "/fairway.v1.IngestService/Telemetry"
CONTROL = "/fairway.v1.ControlService/Control"
# Two streams a connection, and connections that have just been lost.
STREAMS_MAX = 64


@dataclass(frozen=True)
class Passed:
    """One batch of a campaign on its way up."""

    at_s: float  # monotonic
    size_bytes: int
    campaign: str
    stream: str
    sequence: int
    events: tuple[CampaignEvent, ...]


class Tap:
    """The road of one vehicle; `open` it."""

    def __init__(self, folder: Path, pki: Path, cloud_port: int) -> None:
        """`folder` has the vehicle's certificate, `pki` is the cloud's."""
        self.port = free_port()
        self.passed: list[Passed] = []
        self.stored: set[tuple[str, int]] = set()
        self._vehicle, self._cloud_port = folder.name, cloud_port
        self._ca = (folder / "ca.pem").read_bytes()
        self._vehicle_files = [
            (folder / name).read_bytes() for name in ("key.pem", "certificate.pem")
        ]
        self._server_key = (pki / "server-key.pem").read_bytes()
        self._server_certificate = (pki / "server.pem").read_bytes()
        self._server: grpc.Server | None = None
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Let everything pass."""
        files = grpc.ssl_channel_credentials(self._ca, *self._vehicle_files)
        self._channel = grpc.secure_channel(
            f"127.0.0.1:{self._cloud_port}", files, [("grpc.use_local_subchannel_pool", 1)]
        )
        self._server = grpc.server(
            ThreadPoolExecutor(STREAMS_MAX),
            options=[("grpc.max_receive_message_length", 1 << 25), ("grpc.so_reuseport", 0)],
        )
        for method in (TELEMETRY, CONTROL):
            service, name = method[1:].split("/")
            handler: Any = grpc.stream_stream_rpc_method_handler(self._forwards(method))
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {name: handler}),)
            )
        keys = [(self._server_key, self._server_certificate)]
        self._server.add_secure_port(f"127.0.0.1:{self.port}", grpc.ssl_server_credentials(keys))
        self._server.start()

    def close(self) -> None:
        """Cut the road: nothing passes, and nobody is told."""
        if self._server is not None and self._channel is not None:
            self._server.stop(None).wait(10)
            self._channel.close()
            self._server = self._channel = None

    def of(self, campaign: str) -> list[Passed]:
        """Return what has passed of a campaign, by its name."""
        with self._lock:
            return [one for one in self.passed if one.campaign == campaign]

    def all(self) -> list[Passed]:
        """Return everything that has passed of campaigns, in order."""
        with self._lock:
            return list(self.passed)

    def _forwards(self, method: str) -> Any:
        def forward(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            assert self._channel is not None
            open_call: Any = self._channel.stream_stream(method)
            call = open_call(self._up(requests, method))
            context.add_callback(call.cancel)
            try:
                for answer in call:
                    if method == TELEMETRY:
                        self._note_receipts(answer)
                    yield answer
            except grpc.RpcError:
                context.abort(call.code(), call.details())

        return forward

    def _up(self, requests: Iterator[bytes], method: str) -> Iterator[bytes]:
        try:
            for request in requests:
                if method == TELEMETRY:
                    self._note(request)
                yield request
        except grpc.RpcError:
            return  # the vehicle has hung up

    def _note(self, request: bytes) -> None:
        batch = request_from_bytes(request, vehicle=self._vehicle)
        if isinstance(batch, SealedBatch) and batch.campaign is not None:
            part, name = batch.campaign, batch.name
            campaign = part.sync_id.partition("@")[0]
            one = Passed(
                time.monotonic(), len(request), campaign, name.stream, name.sequence, part.events
            )
            with self._lock:
                self.passed.append(one)

    def _note_receipts(self, answer: bytes) -> None:
        with self._lock:
            self.stored |= {
                (one.stream, one.sequence)
                for one in receipts_from_bytes(answer)
                if one.outcome in {Outcome.STORED, Outcome.DUPLICATE}
            }
