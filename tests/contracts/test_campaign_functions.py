"""What custom functions outside the engine promise: an answer to every call, and nothing of what is gone."""

from collections.abc import Iterator

import pytest

from edge_agent.adapters.function_group import Rules
from edge_agent.adapters.function_host import CampaignFunctions
from edge_agent.adapters.memory import MemoryFileSizes
from edge_agent.functions.limits import Limits
from fairway.campaign.functions import Answer, Functions, Invocation, NoFunctions
from fairway.campaign.model import Campaign, ConditionBased, Extensions, Function
from fairway.clock import NS_PER_S, SystemClock

SOURCE = "def invoke(*values):\n    raise ValueError('never')\n"
CAMPAIGN = Campaign(
    "c", ConditionBased("true"), extensions=Extensions(functions=(Function("f", SOURCE),))
)
NAMES = ["python", "counter", "file_size", "nobody_has_this"]


@pytest.fixture(params=["in processes", "none"])
def functions(request: pytest.FixtureRequest) -> Iterator[Functions]:
    if request.param == "none":
        yield NoFunctions()
        return
    rules = Rules(Limits(call_timeout_ns=3 * NS_PER_S), waits_for_start=True)
    host = CampaignFunctions(MemoryFileSizes({}), SystemClock(), rules)
    yield host
    host.close()


def test_a_function_that_nobody_has_is_not_known(functions: Functions):
    assert not functions.knows(CAMPAIGN, "nobody_has_this")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("arguments", [(), ("f",), (None, 1.0), ("/etc/passwd",)])
def test_a_call_that_comes_to_nothing_is_an_answer_without_a_value(
    functions: Functions, name: str, arguments: tuple[float | str | None, ...]
):
    answer = functions.call(Invocation(CAMPAIGN, "sync", 1, name), arguments)

    assert answer == Answer(0.0 if answer.value == 0.0 and name == "counter" else None, {})


def test_what_was_never_called_can_be_forgotten(functions: Functions):
    functions.forget("sync")


def test_a_campaign_that_is_gone_leaves_nothing_to_one_of_its_name(functions: Functions):
    call = Invocation(CAMPAIGN, "sync", 1, "counter")
    first = functions.call(call, ())
    functions.call(call, ())

    functions.forget("sync")

    assert functions.call(call, ()) == first
