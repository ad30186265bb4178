"""The device door in Prometheus's words."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fleet_cloud.api.device.ports import DoorNumbers


class DoorCollector(Collector):
    """Gives Prometheus the counters and gauges of the device door."""

    def __init__(self, numbers: DoorNumbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        numbers = self._numbers
        requests = CounterMetricFamily(
            "fairway_updates_requests", "Answers of the device door", labels=["route", "status"]
        )
        for (route, status), count in sorted(numbers.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        yield CounterMetricFamily(
            "fairway_updates_sent_bytes", "Bytes of blobs sent", value=numbers.sent_bytes
        )
        yield CounterMetricFamily(
            "fairway_updates_redirects", "Fetches sent to other places", value=numbers.redirects
        )
        yield GaugeMetricFamily(
            "fairway_updates_fetches", "Blobs being sent", value=numbers.fetching.total()
        )
        yield GaugeMetricFamily(
            "fairway_updates_connections", "Open connections", value=numbers.connections()
        )
