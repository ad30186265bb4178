"""The page on custom functions says what the code does."""

import re

from edge_agent.adapters import function_child
from edge_agent.adapters.function_group import UNHURRIED
from edge_agent.adapters.function_host import CampaignFunctions
from edge_agent.adapters.memory import MemoryFileSizes
from edge_agent.functions import limits, messages
from edge_agent.functions.life import State
from edge_agent.functions.walls import REQUIRED, Wall
from fairway.campaign.functions import Invocation
from fairway.campaign.model import Campaign, ConditionBased, Extensions, Function
from fairway.clock import SystemClock
from tests.docs.pages import DOCS

PAGE = (DOCS / "explanation" / "custom-functions.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_what_may_be_imported_is_the_list():
    told = (
        section("How they are written").partition("What may be imported:")[2].partition(".\n\n")[0]
    )
    told = told.partition("Anything else")[0]

    assert tuple(re.findall(r"`([a-z0-9.]+)`", told)) == function_child.IMPORTABLE


def test_each_wall_has_its_row_and_the_required_ones_are_named():
    walls = section("What keeps them from the vehicle")

    assert re.findall(r"^\| `([a-z ]+)` \|", walls, re.MULTILINE) == [wall.value for wall in Wall]
    assert " and ".join(f"`{wall.value}`" for wall in REQUIRED) + " are required" in walls


def test_the_numbers_are_those_of_the_code():
    costs = section("What they may cost")
    plain = limits.Limits()

    for said in (
        f"`functions.call_timeout_ms`, {plain.call_timeout_ns // 1_000_000} ms",
        f"until {limits.PATIENCE_CALLS} deadlines have passed",
        f"up to {limits.BATCH_MAX_CALLS} times that",
        f"`functions.cpu_max_ms_per_s`, {plain.cpu_max_ns_per_s // 1_000_000} ms",
        f"`functions.memory_max_mb`, {plain.memory_max_bytes >> 20} MB",
        f"| failures of a process | {limits.FAILURES_MAX}, with pauses of 1, 2, 4 and 8 s",
        f"| exceptions in a row | {limits.ERRORS_MAX} |",
        f"{messages.ANSWER_MAX_BYTES >> 10} KiB, {messages.TEXTS_MAX} signals",
        f"| campaigns with functions | {limits.PROCESSES_MAX} |",
        f"| calls in a campaign's conditions | {limits.PLACES_MAX} |",
    ):
        assert said in costs
    assert limits.OPEN_CALLS + 1 == 5  # "five times that the first time"


def test_the_example_runs():
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    carried = Extensions(functions=(Function("histogram", source),))
    one = Campaign("c", ConditionBased("true"), extensions=carried)
    host = CampaignFunctions(MemoryFileSizes({}), SystemClock(), UNHURRIED)
    try:
        rows = [("histogram", 350.0)] * 1000
        results = host.call_rows(Invocation(one, "sync", 1, "python"), rows)
        report = host.report("sync")
    finally:
        host.close()

    assert report is not None
    assert report.state is State.READY
    assert results.texts == {999: {"Vehicle.Histogram": "[0, 0, 0, 1000, 0, 0, 0, 0, 0, 0]"}}
