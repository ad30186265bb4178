"""Campaigns call their functions: FleetWise's documents, their state, their end, what is said of them."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent import config
from edge_agent.adapters.function_group import UNHURRIED, Rules
from edge_agent.adapters.function_host import CampaignFunctions, campaign_functions
from edge_agent.adapters.memory import MemoryFileSizes
from edge_agent.functions.life import State
from edge_agent.functions.limits import (
    BATCH_MAX_ROWS,
    ERRORS_MAX,
    PLACES_MAX,
    PROCESSES_MAX,
)
from edge_agent.functions.messages import Results, Row
from fairway.campaign.functions import Invocation
from fairway.campaign.model import Campaign, ConditionBased, Extensions, Function
from fairway.clock import NS_PER_MS, NS_PER_S, ManualClock, SystemClock
from fairway.config import loads
from fairway.errors import BadInput

PATIENT = UNHURRIED.limits

# What FleetWise's example counts: bins of a value, said as JSON every so many values.
HISTOGRAM = """
import json

bins = [0] * 10
count = 0

def invoke(value):
    global count
    if value is None:
        return False
    bins[min(max(int(value), 0), 9)] += 1
    count += 1
    if count < 100:
        return False
    said = json.dumps(bins)
    bins[:] = [0] * 10
    count = 0
    return True, {"Vehicle.Histogram": said}
"""
COUNTING = "n = 0\ndef invoke(*values):\n    global n\n    n += 1\n    return n\n"

Build = Callable[..., CampaignFunctions]


@pytest.fixture
def functions() -> Iterator[Build]:
    hosts: list[CampaignFunctions] = []

    def build(
        rules: Rules = UNHURRIED, clock: SystemClock | ManualClock | None = None
    ) -> CampaignFunctions:
        sizes = MemoryFileSizes({"/log": 42})
        hosts.append(CampaignFunctions(sizes, clock or SystemClock(), rules))
        return hosts[-1]

    yield build
    for host in hosts:
        host.close()


def campaign(**sources: str) -> Campaign:
    carried = tuple(Function(name, source) for name, source in sources.items())
    extensions = Extensions(functions=carried) if carried else None
    return Campaign("c", ConditionBased("true"), extensions=extensions)


def called(
    host: CampaignFunctions, one: Campaign, sync_id: str, place: int, name: str, rows: Sequence[Row]
) -> Results:
    return host.call_rows(Invocation(one, sync_id, place, name), rows)


def test_the_histogram_of_fleetwises_document_says_its_signal(functions: Build):
    host, one = functions(), campaign(histogram=HISTOGRAM)
    rows: list[Row] = [
        ("custom-function-python-histogram", "histogram", float(n % 10)) for n in range(250)
    ]

    results = called(host, one, "sync", 1, "python", rows)

    assert [row for row, value in enumerate(results.values) if value is True] == [99, 199]
    assert results.values.count(False) == 248
    assert {row: json.loads(said["Vehicle.Histogram"]) for row, said in results.texts.items()} == {
        99: [10] * 10,
        199: [10] * 10,
    }


def test_one_by_one_and_all_at_once_are_the_same(functions: Build):
    host, one = functions(), campaign(f=HISTOGRAM)
    rows: list[Row] = [("f", None if n % 7 == 0 else float(n)) for n in range(BATCH_MAX_ROWS + 40)]

    at_once = called(host, one, "a", 1, "python", rows)
    singly = [called(host, one, "b", 1, "python", [row]) for row in rows]

    assert at_once.values == tuple(part.values[0] for part in singly)
    assert at_once.texts == {row: part.texts[0] for row, part in enumerate(singly) if part.texts}


def test_each_call_of_a_function_has_globals_of_its_own(functions: Build):
    host, one = functions(), campaign(f=COUNTING)

    def counted(sync_id: str, place: int) -> object:
        return called(host, one, sync_id, place, "python", [("f",)]).values[0]

    assert [counted("a", 1), counted("a", 1), counted("a", 2), counted("b", 1)] == [
        1.0,
        2.0,
        1.0,
        1.0,
    ]


def test_a_campaign_that_went_and_came_back_begins_anew(functions: Build):
    host, one = functions(), campaign(f=COUNTING)
    called(host, one, "a", 1, "python", [("f",)] * 3)

    host.forget("a")

    assert host.report("a") is None
    assert called(host, one, "a", 1, "python", [("f",)]).values == (1.0,)


def test_every_kind_of_value_goes_in_and_comes_out(functions: Build):
    host, one = functions(), campaign(f="def invoke(value):\n    return value\n")
    rows: list[Row] = [("f", value) for value in (1.5, True, False, "tëxt\0\n", None, -0.0, 1e300)]

    values = called(host, one, "a", 1, "python", rows).values

    assert [repr(value) for value in values] == [repr(row[1]) for row in rows]


def test_all_that_may_be_imported_is_there(functions: Build):
    source = (
        "import array, base64, cmath, collections, copy, datetime, decimal, functools, heapq, json, math\n"
        "import random, re, statistics, string, struct, time, zlib\n"
        "def invoke(value):\n"
        "    day = datetime.datetime.strptime('2026-03-01', '%Y-%m-%d').strftime('%d.%m.')\n"
        "    root = decimal.Decimal(2).sqrt()\n"
        "    return f'{day} {statistics.fmean([1, value])} {root:.3f} {random.random() < 1}'\n"
    )

    results = called(functions(), campaign(f=source), "a", 1, "python", [("f", 2.0)])

    assert (results.values, results.error) == (("01.03. 1.5 1.414 True",), "")


@pytest.mark.slow
def test_cleanup_is_called_when_a_campaign_goes(functions: Build):
    # The only thing that can be seen of it from outside is that it is waited for.
    hanging = "def invoke():\n    return 1\ndef cleanup():\n    while True: pass\n"
    clock = SystemClock()
    host = functions(replace(UNHURRIED, limits=replace(PATIENT, call_timeout_ns=NS_PER_S)))
    called(host, campaign(f=hanging), "a", 1, "python", [("f",)])
    started_ns = clock.monotonic_ns()

    host.forget("a")

    assert NS_PER_S <= clock.monotonic_ns() - started_ns < 3 * NS_PER_S


def test_nobody_waits_for_a_start(functions: Build):
    host, one = functions(Rules(PATIENT)), campaign(f=COUNTING)

    assert called(host, one, "a", 1, "python", [("f",)]).values == (None,)
    for _ in range(100):
        host.advance()
        report = host.report("a")
        if report is not None and report.state is State.READY:
            break
        threading.Event().wait(0.1)

    assert called(host, one, "a", 1, "python", [("f",)]).values == (1.0,)


def test_a_source_that_does_not_compile_is_given_up_with_its_line(functions: Build):
    host = functions()

    values = called(host, campaign(f="x = 1\ndef (:\n"), "a", 1, "python", [("f",)]).values

    report = host.report("a")
    assert values == (None,)
    assert report is not None
    assert report.sentences == (
        "its functions are given up: function f: line 2: SyntaxError: invalid syntax (<function f>, line 2)",
    )


def test_a_module_without_invoke_says_so(functions: Build):
    results = called(functions(), campaign(f="x = 1\n"), "a", 1, "python", [("f",)])

    assert "no function `invoke`" in results.error


def test_a_function_that_always_fails_is_given_up(functions: Build):
    host, one = functions(), campaign(f="def invoke(x):\n    return 1 / x\n", g=COUNTING)
    rows: list[Row] = [("f", 0.0)] * ERRORS_MAX

    called(host, one, "a", 1, "python", rows)
    called(host, one, "a", 1, "python", [("f", 1.0)])

    report = host.report("a")
    assert report is not None
    assert "division by zero" in report.refused["f"]
    assert "line 2" in report.refused["f"]
    assert called(host, one, "a", 2, "python", [("g",)]).values == (1.0,)  # the other goes on


def test_a_function_that_fails_now_and_then_goes_on(functions: Build):
    host, one = functions(), campaign(f="def invoke(x):\n    return 1 / x\n")
    for _ in range(3):
        called(host, one, "a", 1, "python", [("f", 0.0)] * (ERRORS_MAX - 1))
        assert called(host, one, "a", 1, "python", [("f", 1.0)]).values == (1.0,)

    report = host.report("a")
    assert report is not None
    assert not report.refused
    assert report.errors == 3 * (ERRORS_MAX - 1)


def test_a_function_that_did_not_come_with_its_campaign_is_named(functions: Build):
    host, one = functions(), campaign(f=COUNTING)

    assert called(host, one, "a", 1, "python", [("prefix", "mean", 1.0)]).values == (None,)

    report = host.report("a")
    assert report is not None
    assert "no function 'prefix' or 'mean'" in report.sentences[0]


def test_more_cpu_time_than_a_second_has_is_not_given(functions: Build):
    clock = ManualClock()
    limits = replace(PATIENT, cpu_max_ns_per_s=10 * NS_PER_MS)
    host, one = (
        functions(Rules(limits, waits_for_start=True), clock),
        campaign(f="def invoke(n):\n    return sum(range(int(n)))\n"),
    )
    dear: Row = ("f", 3_000_000.0)

    first = called(host, one, "a", 1, "python", [dear])
    second = called(host, one, "a", 1, "python", [dear])
    clock.advance(60 * NS_PER_S)
    third = called(host, one, "a", 1, "python", [dear])

    report = host.report("a")
    assert (first.values == third.values, second.values) == (True, (None,))
    assert report is not None
    assert report.held_back == 1
    assert report.cpu_ns > 10 * NS_PER_MS
    assert report.sentences == ("1 calls were not made: the CPU time was used up",)


def test_campaigns_beyond_the_limit_of_processes_are_told(functions: Build):
    host, one = functions(Rules(PATIENT)), campaign(f=COUNTING)
    for number in range(PROCESSES_MAX + 1):
        called(host, one, f"sync {number}", 1, "python", [("f",)])

    report = host.report(f"sync {PROCESSES_MAX}")

    assert report is not None
    assert report.sentences == (
        "function python is given up: 16 campaigns with functions run already, which is the limit",
    )


def test_a_campaign_has_so_many_calls_and_no_more(functions: Build):
    host, one = functions(), campaign(f=COUNTING)
    for place in range(PLACES_MAX):
        assert called(host, one, "a", place, "python", [("f",)]).values == (1.0,)

    assert called(host, one, "a", PLACES_MAX, "python", [("f",)]).values == (None,)


def test_the_agents_own_functions_need_no_process(functions: Build):
    host, one = functions(), campaign()

    counts = called(host, one, "a", 1, "counter", [(), ()])
    size = called(host, one, "a", 2, "file_size", [("/log",)])
    secret = called(host, one, "a", 2, "file_size", [("/etc/shadow",)])

    assert counts.values == (0.0, 1.0)
    assert (size.values, size.texts) == ((42.0,), {0: {"Vehicle.FileSize": "42"}})
    report = host.report("a")
    assert secret.values == (None,)
    assert report is not None
    assert report.sentences == (
        "1 of 4 calls failed, the last so: campaigns may not ask for the size of '/etc/shadow'",
    )


def test_what_is_known_is_said(functions: Build):
    host = functions()

    assert [
        host.knows(campaign(f=COUNTING), name) for name in ("python", "counter", "file_size", "x")
    ] == [
        True,
        True,
        True,
        False,
    ]
    assert not host.knows(campaign(), "python")


def test_an_operators_settings_are_what_counts(tmp_path: Path):
    (tmp_path / "log").write_bytes(b"twelve bytes")
    settings = config.Functions(enabled=False, memory_max_mb=8, file_size_paths=(tmp_path,))
    host, one = campaign_functions(settings, SystemClock()), campaign(f=COUNTING)

    size = called(host, one, "a", 1, "file_size", [(f"{tmp_path}/log",)])
    python = called(host, one, "a", 2, "python", [("f",)])

    report = host.report("a")
    host.close()
    assert (size.values, python.values) == ((12.0,), (None,))
    assert not host.knows(one, "python")
    assert report is not None
    assert report.sentences == (
        "function python is given up: functions.enabled is false in this agent's configuration",
    )


@pytest.mark.parametrize("name", ["memory_max_mb", "call_timeout_ms", "cpu_max_ms_per_s"])
def test_a_setting_of_nothing_is_refused(name: str, tmp_path: Path):
    with pytest.raises(BadInput, match=f"{name} is 0"):
        loads(config.Functions, f"{name} = 0".encode(), where="[functions]", base=tmp_path)
