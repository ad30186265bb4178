"""The how-to on rollouts shows a wish that is taken, all of its keys, and commands that are there."""

import json
import re
import shlex

import pytest

import fleet_cloud.cli
from fleet_cloud.rollouts.following import RETRIES
from fleet_cloud.rollouts.model import Gate
from fleet_cloud.rollouts.wishes import wish_of, wish_to_json
from tests.docs.pages import DOCS

PAGE = (DOCS / "howto" / "roll-out-updates.md").read_text(encoding="utf-8")
MEANING = (DOCS / "explanation" / "rollouts.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(fleet-cloud .*?)(?: > \S+)?$", PAGE, re.MULTILINE)
NUMBERS = ("success_percent", "failure_percent", "failure_sample_min", "soak_s", "health_percent")


def test_the_wish_is_taken_and_its_keys_are_all_told():
    document = PAGE.partition("```json\n")[2].partition("```")[0]
    wish = wish_of(json.loads(document))
    table = PAGE.partition("| key | default | meaning |")[2].partition("\n\n")[0]
    keys = " ".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))

    assert wish_of(wish_to_json(wish)) == wish
    assert set(re.findall(r"`(\w+)`", keys)) == set(wish_to_json(wish))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one(command: str):
    _, *arguments = shlex.split(command)

    assert callable(fleet_cloud.cli.parser().parse_args(arguments).run)


def test_there_are_commands():
    assert len(COMMANDS) >= 10


def test_gates_and_retries_are_told_as_they_are():
    for name in NUMBERS:
        assert f"| `{name}` | {getattr(Gate(), name):g} |" in MEANING
    rows = MEANING.partition("## What is tried again")[2]
    told = re.findall(r"^\| `(\w+)` \| (\d+) \|", rows, re.MULTILINE)
    assert {name: int(tries) for name, tries in told} == {
        fault.value: retry.tries for fault, retry in RETRIES.items()
    }
