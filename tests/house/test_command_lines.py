"""Command lines start quickly: a program loads the command that is named, and of it what that action needs."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

import edge_agent.cli
import fleet_cloud.cli
import ota.cli
import simulators.cli
import simulators.demo.cli
from fairway.command_line import Program

PROGRAMS = [
    edge_agent.cli.PROGRAM,
    fleet_cloud.cli.PROGRAM,
    ota.cli.PROGRAM,
    simulators.cli.PROGRAM,
    simulators.demo.cli.PROGRAM,
]
ENGINES = {"boto3", "chdb", "pyarrow", "pandas", "fastapi", "uvicorn", "cantools", "can", "asammdf"}
DATABASES = {"sqlalchemy", "alembic", "psycopg"}
WIRES = {"grpc", "google.protobuf", "paho", "awscrt"}
NUMBERS = {"numpy"}
ALL = ENGINES | DATABASES | WIRES | NUMBERS

# An agent that is not there: whoever asks it gets as far as its socket.
SETTINGS = """
[vehicle]
id = "V1"

[replay]
log = "drive.log"

[spool]
dir = "spool"

[uplink]
url = "mqtt://127.0.0.1:1"
"""

LIGHT = [
    ("edge_agent.cli", "services list --config FILE", ALL),
    ("edge_agent.cli", "services check FILE", ALL),
    ("edge_agent.cli", "services try --help", ALL),
    ("edge_agent.cli", "campaign list --config FILE", ALL),
    ("edge_agent.cli", "campaign dry-run --help", ALL),
    ("edge_agent.cli", "enroll --csr-out OUT", ALL),
    ("edge_agent.cli", "token --check -", ALL),
    ("edge_agent.cli", "run --help", ALL),
    ("edge_agent.cli", "signals list --to 127.0.0.1:1", ENGINES | DATABASES | NUMBERS | {"paho"}),
    ("fleet_cloud.cli", "serve --help", ALL),
    ("fleet_cloud.cli", "vehicle list --data DIR", ENGINES | WIRES | NUMBERS),
    ("fleet_cloud.cli", "vehicle add V --data DIR --out OUT", ENGINES | WIRES | NUMBERS),
    ("fleet_cloud.cli", "service list --data DIR", ENGINES | WIRES | NUMBERS),
    ("fleet_cloud.cli", "image list --data DIR", ENGINES | WIRES | NUMBERS),
    ("fleet_cloud.cli", "key list --data DIR", ENGINES | WIRES | NUMBERS),
    ("fleet_cloud.cli", "campaign list --data DIR", ENGINES),
    ("ota.cli", "inspect --folder DIR", ALL),
]


def loaded(module: str, words: str, folder: Path) -> set[str]:
    """Return what a program has loaded when it ends, however it ends."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', *sys.modules))\n"
        f"from {module} import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    (folder / "FILE").write_text(SETTINGS, encoding="utf-8")
    out = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        check=False, capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in out.stderr, out.stderr
    return set(out.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(("module", "words", "banned"), LIGHT)
def test_a_light_command_loads_nothing_heavy(
    module: str, words: str, banned: set[str], tmp_path: Path
):
    modules = loaded(module, words, tmp_path)

    assert f"{module}.{words.split(maxsplit=1)[0]}" in modules  # or nothing was tried
    assert banned & modules == set()


@pytest.mark.parametrize(
    "module",
    ["edge_agent.cli", "fleet_cloud.cli", "ota.cli", "simulators.cli", "simulators.demo.cli"],
)
def test_the_list_of_commands_loads_none_of_them(module: str, tmp_path: Path):
    modules = loaded(module, "--help", tmp_path)

    assert ALL & modules == set()
    assert [name for name in modules if name.startswith(f"{module}.")] == []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_table_says_what_the_commands_say_themselves(program: Program):
    assert lines(program.parser([])) == lines(program.parser())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_command_has_the_same_arguments_alone_as_among_all(program: Program):
    for command in program.commands:
        alone, among_all = program.parser([command.name]), program.parser()

        assert (
            below(alone)[command.name].format_help() == below(among_all)[command.name].format_help()
        )


def lines(parser: argparse.ArgumentParser) -> str:
    return parser.format_help()


def below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    return found[0]
