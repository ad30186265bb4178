"""What Prometheus is told of updates."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from edge_agent.updates.numbers import UpdateNumbers
from fairway.update import Stage


def update_metrics(numbers: UpdateNumbers) -> Iterator[Metric]:
    """Yield the metrics of updates."""
    stages = GaugeMetricFamily(
        "fairway_edge_update_stage", "1 for the stage of the update under way", labels=["stage"]
    )
    for stage in Stage:
        stages.add_metric([str(stage)], float(numbers.stage is stage))
    yield stages
    yield GaugeMetricFamily(
        "fairway_edge_update_percent", "How much of it is done", value=numbers.percent
    )
    counters = (
        ("looks", "Looks for updates", numbers.looks),
        ("refusals", "Looks whose answer was not to be trusted", numbers.refusals),
        ("commits", "Updates that were kept", numbers.commits),
        ("roll_backs", "Updates that went back", numbers.roll_backs),
    )
    for name, text, value in counters:
        yield CounterMetricFamily(f"fairway_edge_update_{name}", text, value=value)
    yield GaugeMetricFamily(
        "fairway_edge_update_untold_events",
        "Events that the cloud does not have yet",
        value=numbers.untold_events,
    )
    yield GaugeMetricFamily(
        "fairway_edge_update_disk_failing",
        "1 while records of updates cannot be made durable: nothing is installed",
        value=float(numbers.disk_failing),
    )
