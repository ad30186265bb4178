"""The configuration reference names every setting with its default, and no other."""

import dataclasses
import json
import re
import typing
from pathlib import Path

import pytest

import edge_agent.config
import fleet_cloud.config
from fairway.config import loads

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
PROGRAMS = {"edge-agent": edge_agent.config.Config, "fleet-cloud": fleet_cloud.config.Config}

programs = pytest.mark.parametrize(("program", "config"), PROGRAMS.items())


def settings_of(kind, prefix=""):
    """Yield (name, default as the page writes it) of every setting."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        arms = [hints[field.name], *typing.get_args(hints[field.name])]
        inner = next((arm for arm in arms if dataclasses.is_dataclass(arm)), None)
        if inner is not None:
            is_list = typing.get_origin(hints[field.name]) is tuple
            yield from settings_of(inner, f"{prefix}{field.name}{'[]' if is_list else ''}.")
        else:
            yield prefix + field.name, default_of(field)


def default_of(field):
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    elif field.default is dataclasses.MISSING:
        return "required"
    else:
        value = field.default
    if value is None:
        return "none"
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


@programs
def test_every_setting_is_there_with_its_default_and_no_other(program, config):
    told = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|", SECTIONS[program], re.MULTILINE))

    assert told == dict(settings_of(config))


@programs
def test_the_examples_are_accepted(program, config, tmp_path):
    examples = re.findall(r"```toml\n(.*?)```", SECTIONS[program], re.DOTALL)

    assert examples
    for example in examples:
        loads(config, example.encode(), where="example", base=tmp_path)
