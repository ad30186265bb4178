"""What every adapter of the port for custom functions keeps: the engine relies on nothing else."""

import pytest

from fairway.campaign.document import campaign_of
from fairway.campaign.functions import Answer, Functions, Invocation, NoFunctions

CAMPAIGN = campaign_of(
    {"name": "it", "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 1}}}
)


@pytest.fixture(params=[NoFunctions])
def functions(request: pytest.FixtureRequest) -> Functions:
    made: Functions = request.param()
    return made


def test_a_function_nobody_has_is_not_known_and_answers_nothing_if_called_all_the_same(
    functions: Functions,
):
    assert not functions.knows(CAMPAIGN, "no such function")

    answer = functions.call(
        Invocation(CAMPAIGN, "it@1", 1, "no such function"), [1.0, None, "a", True]
    )

    assert answer == Answer(None, {})


def test_forgetting_a_campaign_that_never_called_is_nothing(functions: Functions):
    functions.forget("never@1")
    functions.forget("never@1")
