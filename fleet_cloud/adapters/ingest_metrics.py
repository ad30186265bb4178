"""Ingest in Prometheus's words, read from its status when Prometheus asks: the hot path counts once."""

from collections.abc import Callable, Iterator
from dataclasses import fields

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fleet_cloud.ingest.status import Counts, IngestStatus

_HELP = {
    "messages": "Messages of any kind, from any door",
    "bytes": "Bytes of those messages",
    "batches": "Batches stored",
    "samples": "Samples stored",
    "duplicates": "Batches that were stored before",
    "dictionaries": "Dictionaries that were new",
    "unknown_dictionary": "Batches sent back for their dictionary",
    "refused": "Batches that can never be stored",
    "denied": "Messages from vehicles that are not registered, or in another's name",
    "quarantined": "Messages kept in quarantine",
    "unreadable": "Messages that could not be read",
    "busy": "Batches that have to come again",
}


class IngestCollector(Collector):
    """Gives Prometheus the counters and gauges of ingest."""

    def __init__(self, status: Callable[[], IngestStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        for field in fields(Counts):
            value = getattr(status.counts, field.name)
            yield CounterMetricFamily(
                f"fairway_ingest_{field.name}", _HELP[field.name], value=value
            )
        gauges: list[tuple[str, str, float]] = [
            ("healthy", "1 while storage works", float(status.healthy)),
            ("queue_bytes", "Bytes that wait for storage", status.queue_bytes),
            ("queue_max_bytes", "Bytes from which senders wait", status.queue_max_bytes),
            ("store_latency_ms", "Time the latest group took to store", status.store_latency_ms),
        ]
        if status.mqtt_connected is not None:
            connected = float(status.mqtt_connected)
            gauges.append(("mqtt_connected", "1 while the broker is reached", connected))
        if status.grpc_connections is not None:
            gauges.append(("grpc_connections", "Open gRPC streams", status.grpc_connections))
        for name, words, value in gauges:
            yield GaugeMetricFamily(f"fairway_ingest_{name}", words, value=value)
