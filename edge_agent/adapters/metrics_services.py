"""What Prometheus is told of services: each by its name, for there are few."""

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from edge_agent.services.numbers import AllNumbers, ServiceNumbers

_Said = tuple[tuple[str, str, Callable[[ServiceNumbers], float]], ...]

_GAUGES: _Said = (
    ("ready", "1 while it serves", lambda one: float(one.is_ready)),
    ("cpu_cores", "What it takes of one core, over the last look", lambda one: one.cpu),
    ("memory_bytes", "The memory that it takes", lambda one: one.memory_bytes),
    ("pids", "Its processes and threads", lambda one: one.pids),
)
_COUNTERS: _Said = (
    ("cpu_seconds", "Processor time since it was started", lambda one: one.cpu_s),
    ("restarts", "Starts after the first, since the agent started", lambda one: one.restarts),
    ("failures", "Starts that failed, and crashes", lambda one: one.failures),
    ("out_of_memory", "How often it was killed for want of memory", lambda one: one.out_of_memory),
)


def service_metrics(numbers: AllNumbers) -> Iterator[Metric]:
    """Yield the metrics of services."""
    states = GaugeMetricFamily("fairway_edge_services", "Services by state", labels=["state"])
    for state, count in numbers.states.items():
        states.add_metric([state], count)
    yield states
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(f"fairway_edge_service_{name}", text, labels=["service"])
        for one in numbers.services:
            gauge.add_metric([one.name], float(value(one)))
        yield gauge
    for name, text, value in _COUNTERS:
        counter = CounterMetricFamily(f"fairway_edge_service_{name}", text, labels=["service"])
        for one in numbers.services:
            counter.add_metric([one.name], float(value(one)))
        yield counter
    denied = CounterMetricFamily(
        "fairway_edge_service_denied", "What it was denied, by kind", labels=["service", "kind"]
    )
    for one in numbers.services:
        for kind, count in one.denied.items():
            denied.add_metric([one.name, kind], float(count))
    yield denied
    yield CounterMetricFamily(
        "fairway_edge_service_changes", "Versions that came into force", value=numbers.changes
    )
    yield CounterMetricFamily(
        "fairway_edge_service_roll_backs",
        "Versions that failed and gave way to the one before",
        value=numbers.roll_backs,
    )
    yield GaugeMetricFamily(
        "fairway_edge_service_disk_failing",
        "1 while records of services cannot be made durable: nothing is changed",
        value=float(numbers.disk_failing),
    )
    yield GaugeMetricFamily(
        "fairway_edge_service_cloud_lost",
        "1 while services follow their policies for want of a cloud",
        value=float(numbers.is_lost),
    )
