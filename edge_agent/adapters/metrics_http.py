"""Prometheus metrics over HTTP: numbers are read when Prometheus asks, the hot path only counts."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from edge_agent.adapters.metrics_campaigns import campaign_metrics
from edge_agent.adapters.metrics_services import service_metrics
from edge_agent.adapters.metrics_updates import update_metrics
from edge_agent.broker.counts import DataNumbers, OnboardCounts
from edge_agent.services.numbers import AllNumbers
from edge_agent.telemetry.campaign_counts import CampaignNumbers
from edge_agent.telemetry.counts import SamplingCounts
from edge_agent.telemetry.sending import UplinkCounts
from edge_agent.telemetry.spool import SpoolState
from edge_agent.updates.numbers import UpdateNumbers
from fairway.errors import BadInput, Unavailable

# A request for metrics is two lines; what is longer, or takes longer, is none of ours.
REQUEST_MAX_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """Everything there is to tell, at one moment."""

    sampling: SamplingCounts
    spool: SpoolState
    uplink: UplinkCounts | None  # None: there is no uplink
    is_connected: bool
    connections: int
    oldest_age_s: float
    dropped_frames: tuple[tuple[str, int], ...]  # by bus
    certificate_left_s: float | None = None  # None: there is no identity of our own
    onboard: OnboardCounts | None = None  # None: there is no door for apps
    data: DataNumbers | None = None
    campaigns: CampaignNumbers | None = None
    services: AllNumbers | None = None  # None: there is no [services]
    updates: UpdateNumbers | None = None  # None: there is no [updates]


class AgentCollector(Collector):
    """Gives Prometheus the numbers of an agent."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield from _sampling(status)
        yield from _spool(status)
        if status.uplink is not None:
            yield from _uplink(status, status.uplink)
        if status.onboard is not None:
            yield from _onboard(status.onboard)
        if status.data is not None:
            yield from _data(status.data)
        if status.campaigns is not None:
            yield from campaign_metrics(status.campaigns)
        if status.services is not None:
            yield from service_metrics(status.services)
        if status.updates is not None:
            yield from update_metrics(status.updates)


def _sampling(status: Status) -> Iterator[Metric]:
    counts = status.sampling
    yield CounterMetricFamily("fairway_edge_frames", "Frames received", value=counts.frames)
    yield CounterMetricFamily("fairway_edge_signals", "Signal values decoded", value=counts.signals)
    yield CounterMetricFamily("fairway_edge_samples", "Samples collected", value=counts.samples)
    refused = CounterMetricFamily(
        "fairway_edge_refused", "Frames and values that became no sample", labels=["reason"]
    )
    for reason, count in counts.refused.items():
        refused.add_metric([reason], count)
    yield refused
    dropped = CounterMetricFamily(
        "fairway_edge_dropped_frames", "Frames lost before they could be read", labels=["bus"]
    )
    for bus, count in status.dropped_frames:
        dropped.add_metric([bus], count)
    yield dropped
    yield CounterMetricFamily(
        "fairway_edge_lost_samples",
        "Samples collected and never spooled: spool or disk was full",
        value=counts.lost_samples,
    )
    yield CounterMetricFamily("fairway_edge_batches", "Batches spooled", value=counts.batches)
    yield CounterMetricFamily(
        "fairway_edge_batch_bytes", "Bytes of those batches", value=counts.request_bytes
    )
    yield GaugeMetricFamily(
        "fairway_edge_disk_failing",
        "1 while the spool's disk takes nothing",
        value=float(counts.is_disk_failing),
    )


def _spool(status: Status) -> Iterator[Metric]:
    spool = status.spool
    yield GaugeMetricFamily(
        "fairway_edge_spool_batches", "Batches without a receipt", value=spool.waiting
    )
    yield GaugeMetricFamily("fairway_edge_spool_bytes", "Size of the spool", value=spool.size_bytes)
    yield GaugeMetricFamily(
        "fairway_edge_spool_oldest_seconds",
        "Age of the oldest batch that is to be sent and has no receipt",
        value=status.oldest_age_s,
    )
    yield CounterMetricFamily(
        "fairway_edge_spool_dropped_batches",
        "Batches dropped unsent to make room",
        value=spool.dropped_batches,
    )
    yield CounterMetricFamily(
        "fairway_edge_spool_dropped_samples",
        "Samples of those batches",
        value=spool.dropped_samples,
    )
    yield CounterMetricFamily(
        "fairway_edge_spool_damaged_batches",
        "Batches the disk did not keep",
        value=spool.damaged_batches,
    )


def _uplink(status: Status, counts: UplinkCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "fairway_edge_uplink_connected",
        "1 while the cloud is reached",
        value=float(status.is_connected),
    )
    yield CounterMetricFamily(
        "fairway_edge_uplink_connections", "Connections made", value=status.connections
    )
    yield CounterMetricFamily(
        "fairway_edge_uplink_sent_batches", "Batches sent, again and again", value=counts.sent
    )
    yield CounterMetricFamily(
        "fairway_edge_uplink_sent_bytes", "Bytes of batches sent", value=counts.sent_bytes
    )
    yield CounterMetricFamily(
        "fairway_edge_uplink_resent_batches",
        "Batches sent again",
        value=counts.resent,
    )
    if status.certificate_left_s is not None:
        yield GaugeMetricFamily(
            "fairway_edge_uplink_certificate_seconds",
            "For how long the certificate is good",
            value=status.certificate_left_s,
        )
    receipts = CounterMetricFamily(
        "fairway_edge_uplink_receipts", "Receipts by outcome", labels=["outcome"]
    )
    for outcome in ("stored", "duplicate", "refused", "busy"):
        receipts.add_metric([outcome], getattr(counts, outcome))
    yield receipts


def _data(numbers: DataNumbers) -> Iterator[Metric]:
    counts = numbers.counts
    for name, text, value in (
        ("published", "Values taken from apps", counts.published),
        ("invalid_values", "Values of apps that did not fit their signals", counts.refused),
        ("messages", "Messages to subscribers", counts.told),
        ("dropped_values", "Values never told, for their reader was slow", numbers.dropped),
        ("actuations", "Target values forwarded to providers", counts.actuations),
        ("frames_sent", "Frames sent on buses", counts.frames_sent),
    ):
        yield CounterMetricFamily(f"fairway_edge_onboard_{name}", text, value=value)
    orders = CounterMetricFamily(
        "fairway_edge_onboard_orders", "Orders that are over", labels=["outcome"]
    )
    for outcome, count in counts.orders.items():
        orders.add_metric([outcome], count)
    yield orders
    yield GaugeMetricFamily(
        "fairway_edge_onboard_subscriptions", "Open subscriptions", value=numbers.subscriptions
    )
    yield GaugeMetricFamily(
        "fairway_edge_onboard_providers", "Apps that provide", value=numbers.providers
    )


def _onboard(counts: OnboardCounts) -> Iterator[Metric]:
    yield CounterMetricFamily("fairway_edge_onboard_calls", "Calls of apps", value=counts.calls)
    yield GaugeMetricFamily(
        "fairway_edge_onboard_open_calls", "Calls that are being served", value=counts.open
    )
    refused = CounterMetricFamily(
        "fairway_edge_onboard_refused",
        "Calls of apps that were refused or ended",
        labels=["reason"],
    )
    for reason, count in counts.refused.items():
        refused.add_metric([reason], count)
    yield refused


class MetricsServer:
    """Answers GET /metrics."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(AgentCollector(status))
        self._server: asyncio.Server | None = None

    async def start(self, listen: str) -> int:
        """Listen on `host:port` and return the port.  Raises BadInput or Unavailable."""
        host, colon, port = listen.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise BadInput(f"metrics.listen is {listen!r}; write host:port, as in 127.0.0.1:9464")
        try:
            self._server = await asyncio.start_server(
                self._answer, host.strip("[]"), int(port), limit=REQUEST_MAX_BYTES
            )
        except OSError as error:
            raise Unavailable(f"metrics cannot be served on {listen}: {error.strerror}") from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.split(b" ", 2)[:2]))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever that was, it was not Prometheus
        finally:
            writer.close()

    def _response(self, request: list[bytes]) -> bytes:
        if request == [b"GET", b"/metrics"]:
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        else:
            status, kind, body = "404 Not Found", "text/plain", b"try GET /metrics\n"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + body
