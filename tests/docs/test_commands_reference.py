"""The command reference names every command of every program with every argument and its default."""

import argparse
import re
import tomllib
from collections.abc import Iterator

import edge_agent.cli
import fleet_cloud.cli
import ota.cli
import simulators.cli
import simulators.demo.cli
from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
PARSERS = (
    edge_agent.cli.parser(),
    fleet_cloud.cli.parser(),
    ota.cli.parser(),
    simulators.cli.parser(),
    simulators.demo.cli.parser(),
)


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every command below `parser`: its name, and its arguments with defaults, as the page has them."""
    below = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    if below:
        for word, inner in below[0].items():
            yield from commands(inner, f"{name} {word}")
        return
    yield name, {shown(action): default(action) for action in parser._actions if is_ours(action)}


def is_ours(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._HelpAction)


def shown(action: argparse.Action) -> str:
    what = str(action.metavar or action.dest.upper())
    if action.choices:
        what = "{" + ",".join(action.choices) + "}"
    if not action.option_strings:
        return what + ("..." if action.nargs == "+" else "")
    return action.option_strings[0] + ("" if action.nargs == 0 else f" {what}")


def default(action: argparse.Action) -> str:
    if action.required:
        return "required"
    if action.nargs == 0:
        return "off"
    return "none" if action.default in (None, "") else f"`{action.default}`"


def told() -> dict[str, dict[str, str]]:
    sections = re.findall(r"^## (\S+ [^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return {
        name: dict(
            re.findall(r"^\| `([^`]+)` \| (\S+) \|", text.replace(r"\|", "\0"), re.MULTILINE)
        )
        for name, text in sections
    }


def test_the_page_has_every_command_with_every_argument_and_default():
    found = {
        name: {argument.replace("|", "\0"): default for argument, default in arguments.items()}
        for parser in PARSERS
        for name, arguments in commands(parser, parser.prog)
    }

    assert told() == found


def test_the_page_has_every_program():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert {name.split()[0] for name in told()} == set(scripts)
