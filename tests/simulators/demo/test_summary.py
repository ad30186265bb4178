import json
from dataclasses import replace

from simulators.demo.campaign import Brought
from simulators.demo.summary import Summary, percentile
from simulators.demo.update import Updated
from simulators.demo.watch import sums

SUMMARY = Summary(
    vehicles=3,
    seconds=20.0,
    frames=61_494,
    frames_dropped=0,
    signals=502_019,
    samples=15_969,
    campaign=Brought(vehicles=3, events=21, samples=207),
    update=Updated(
        version="1.1",
        state="PAUSED",
        why="1 of 3 vehicles of the fleet failed",
        vehicles=3,
        committed=2,
        rolled_back=1,
        sentence="FWYTR1: no limits",
    ),
    campaign_samples=207,
    rows_stored=16_176,
    duplicates=2,
    on_the_way=0,
    lost=0,
    bytes_per_sample=4.943,
    latency_p50_ms=414.8,
    latency_p99_ms=724.7,
)


def test_a_machine_reads_every_figure():
    read = json.loads(SUMMARY.as_json())

    assert (read["rows_stored"], read["lost"], read["latency_p99_ms"]) == (16_176, 0, 724.7)


def test_a_person_reads_what_was_stored_and_lost():
    assert "    16,176 rows stored, 0 on the way, 0 lost, 2 batches came twice" in SUMMARY.as_text()


def test_a_person_reads_what_the_campaign_brought_and_why():
    assert (
        "        21 events of the campaign standing-still, 207 samples of 3 vehicles, because of "
        "held($variable.`Vehicle.Speed` < 1, 1 s)" in SUMMARY.as_text()
    )


def test_a_person_reads_what_became_of_the_update_and_why():
    text = SUMMARY.as_text()

    assert (
        "         2 of 3 vehicles took the update speed-limits 1.1, 1 went back by itself" in text
    )
    assert "the rollout is PAUSED\n" in text
    assert "1 of 3 vehicles of the fleet failed\n" in text
    assert text.endswith("FWYTR1: no limits")


def test_a_demo_that_stored_nothing_is_not_whole():
    assert SUMMARY.is_whole
    assert not replace(SUMMARY, lost=1).is_whole
    assert not replace(SUMMARY, rows_stored=0, samples=0).is_whole


def test_a_percentile_is_one_of_the_values():
    values = [5.0, 1.0, 4.0, 2.0, 3.0]

    assert percentile(values, 0.5) == 3.0
    assert percentile(values, 0.99) == 5.0
    assert percentile([], 0.99) == 0.0


def test_metrics_are_summed_over_their_labels():
    exposition = """
    # HELP fairway_edge_dropped_frames_total Frames lost
    fairway_edge_dropped_frames_total{bus="can0"} 2.0
    fairway_edge_dropped_frames_total{bus="can1"} 3.0
    fairway_edge_frames_total 1e+03
    not a metric
    """

    assert sums(exposition) == {
        "fairway_edge_dropped_frames_total": 5.0,
        "fairway_edge_frames_total": 1000.0,
    }
