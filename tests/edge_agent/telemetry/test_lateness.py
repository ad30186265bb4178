"""How late events come, in classes."""

from prometheus_client.core import HistogramMetricFamily

from edge_agent.adapters.metrics_campaigns import campaign_metrics
from edge_agent.telemetry.campaign_counts import CampaignNumbers
from edge_agent.telemetry.lateness import LATE_NS, Lateness, share_ms
from fairway.clock import NS_PER_MS


def lateness(*late_ns: int) -> Lateness:
    found = Lateness()
    for one in late_ns:
        found.add(one)
    return found


def test_what_comes_after_exactly_ten_milliseconds_is_not_late_yet():
    assert lateness(LATE_NS).late_events == 0
    assert lateness(LATE_NS, LATE_NS + 1, 5_000 * NS_PER_MS).late_events == 2


def test_what_comes_before_its_stamp_came_at_once():
    found = lateness(-3_600_000 * NS_PER_MS)

    assert (found.counts[0], found.sum_ns) == (1, 0)


def test_a_share_is_told_by_the_end_of_its_class():
    counts = lateness(*([NS_PER_MS // 2] * 98), 4 * NS_PER_MS + 1, 7_000 * NS_PER_MS).counts

    assert share_ms(counts, 0.5) == 1
    assert share_ms(counts, 0.99) == 5
    assert share_ms(counts, 1.0) == float("inf")
    assert share_ms(Lateness().counts, 0.99) == 0


def test_prometheus_is_told_a_histogram_in_seconds():
    found = lateness(NS_PER_MS // 2, 4 * NS_PER_MS, 2_000 * NS_PER_MS)

    (metric,) = [
        one
        for one in campaign_metrics(CampaignNumbers({}, lateness=found))
        if isinstance(one, HistogramMetricFamily)
    ]
    values = {
        (sample.name.removeprefix("fairway_edge_campaign_"), sample.labels.get("le")): sample.value
        for sample in metric.samples
    }
    assert values["lateness_seconds_bucket", "0.001"] == 1
    assert values["lateness_seconds_bucket", "0.003"] == 1
    assert values["lateness_seconds_bucket", "0.004"] == 2
    assert values["lateness_seconds_bucket", "+Inf"] == 3
    assert values["lateness_seconds_count", None] == 3
    assert abs(values["lateness_seconds_sum", None] - 2.0045) < 1e-9
