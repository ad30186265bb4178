"""What Prometheus is told of services."""

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from edge_agent.adapters.metrics_services import service_metrics
from edge_agent.services.numbers import AllNumbers, ServiceNumbers


class _Once(Collector):
    def __init__(self, numbers: AllNumbers) -> None:
        self.numbers = numbers

    def collect(self) -> list[Metric]:
        return list(service_metrics(self.numbers))


def test_each_service_is_told_by_its_name():
    registry = CollectorRegistry()
    one = ServiceNumbers(
        name="tyre-watch",
        state="Running(Ok)",
        is_ready=True,
        restarts=2,
        failures=1,
        out_of_memory=1,
        cpu_s=12.5,
        cpu=0.03,
        memory_bytes=4096,
        pids=3,
        denied={"read": 7, "call": 1},
    )
    registry.register(_Once(AllNumbers((one,), 3, 1, is_lost=True, states={"Running(Ok)": 1})))

    said = generate_latest(registry).decode()

    for line in (
        'fairway_edge_services{state="Running(Ok)"} 1.0',
        'fairway_edge_service_ready{service="tyre-watch"} 1.0',
        'fairway_edge_service_memory_bytes{service="tyre-watch"} 4096.0',
        'fairway_edge_service_cpu_seconds_total{service="tyre-watch"} 12.5',
        'fairway_edge_service_out_of_memory_total{service="tyre-watch"} 1.0',
        'fairway_edge_service_denied_total{kind="read",service="tyre-watch"} 7.0',
        'fairway_edge_service_denied_total{kind="call",service="tyre-watch"} 1.0',
        "fairway_edge_service_changes_total 3.0",
        "fairway_edge_service_roll_backs_total 1.0",
        "fairway_edge_service_cloud_lost 1.0",
    ):
        assert line in said.splitlines()
