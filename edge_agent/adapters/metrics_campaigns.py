"""What Prometheus is told of campaigns: all of them together; of each, the check-in and `why` tell."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from edge_agent.telemetry.campaign_counts import CampaignNumbers
from edge_agent.telemetry.lateness import BOUNDS_NS, Lateness
from fairway.clock import NS_PER_S


def campaign_metrics(numbers: CampaignNumbers) -> Iterator[Metric]:
    """Yield the metrics of campaigns."""
    states = GaugeMetricFamily("fairway_edge_campaigns", "Campaigns by state", labels=["state"])
    for state, count in numbers.states.items():
        states.add_metric([state], count)
    yield states
    for name, text, value in (
        ("events", "Events collected", numbers.events),
        (
            "late_events",
            "Events collected over 10 ms after their trigger",
            numbers.lateness.late_events,
        ),
        ("samples", "Samples of those events", numbers.samples),
        ("batches", "Batches put into partitions", numbers.batches),
        ("batch_bytes", "Bytes of those batches", numbers.batch_bytes),
        ("dropped_samples", "Samples given up: too old, or too much", numbers.dropped_samples),
    ):
        yield CounterMetricFamily(f"fairway_edge_campaign_{name}", text, value=value)
    yield _lateness(numbers.lateness)
    for name, text, value in (
        ("partitions", "Partitions that have something", numbers.partitions),
        ("waiting_batches", "Batches without a receipt", numbers.waiting_batches),
        ("waiting_bytes", "Their size", numbers.waiting_bytes),
        ("held_back", "Campaigns that a budget holds back", numbers.held_back),
        ("disk_failing", "1 while the partitions' disk takes nothing", numbers.disk_failing),
        ("function_calls", "Calls of custom functions, so far", numbers.function_calls),
        ("function_failures", "Those without a value", numbers.function_failures),
    ):
        yield GaugeMetricFamily(f"fairway_edge_campaign_{name}", text, value=value)


def _lateness(lateness: Lateness) -> HistogramMetricFamily:
    bounds = [*(str(bound_ns / NS_PER_S) for bound_ns in BOUNDS_NS), "+Inf"]
    return HistogramMetricFamily(
        "fairway_edge_campaign_lateness_seconds",
        "Time from an event's trigger until it was collected",
        buckets=list(zip(bounds, accumulate(lateness.counts), strict=True)),
        sum_value=lateness.sum_ns / NS_PER_S,
    )
