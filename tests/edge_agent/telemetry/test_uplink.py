"""How long an agent waits before it asks the cloud again."""

from edge_agent.telemetry.uplink import reconnect_after_s


def test_reconnecting_waits_longer_each_time_up_to_a_minute():
    assert [reconnect_after_s(attempt, 1.0) for attempt in (1, 2, 3, 8, 5000)] == [
        0.5,
        1,
        2,
        60,
        60,
    ]
    assert reconnect_after_s(3, 0.0) == 1.0
