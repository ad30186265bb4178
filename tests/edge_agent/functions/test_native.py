"""counter and file_size, as FleetWise's examples have them."""

from edge_agent.adapters.memory import MemoryFileSizes
from edge_agent.functions import native
from edge_agent.functions.native import Counters


def test_a_counter_says_how_often_it_was_called_before():
    counters = Counters()

    assert [counters.next("c", 1) for _ in range(3)] == [0.0, 1.0, 2.0]


def test_each_call_in_each_campaign_counts_for_itself():
    counters = Counters()
    counters.next("c", 1)

    assert (counters.next("c", 2), counters.next("d", 1), counters.next("c", 1)) == (0.0, 0.0, 1.0)


def test_a_campaign_that_is_gone_begins_anew():
    counters = Counters()
    counters.next("c", 1)
    counters.next("d", 1)
    counters.forget("c")

    assert (counters.next("c", 1), counters.next("d", 1)) == (0.0, 1.0)


def test_a_file_has_its_size_as_value_and_as_signal():
    results = native.file_size(["/log"], MemoryFileSizes({"/log": 4096}))

    assert results.values == (4096.0,)
    assert results.texts == {0: {"Vehicle.FileSize": "4096"}}


def test_file_size_takes_a_path_and_nothing_else():
    for arguments in ([], [1.0], [None], ["/log", "/log"]):
        results = native.file_size(arguments, MemoryFileSizes({"/log": 1}))

        assert results.values == (None,)
        assert "takes one argument" in results.error
