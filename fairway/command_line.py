"""What the command lines of all programs have in common.

Exit codes: 0 done, 1 a failure we understand (one sentence on standard error), 2 a wrong command line.

    fleet-cloud --help          the table in fleet_cloud/cli/__init__.py: names with one line each
    fleet-cloud vehicle list    loads fleet_cloud/cli/vehicle.py, and no other command

Rule 1: a command is a module: `add(commands)` declares it, `run` does it.  The program's table names it, with
the line that `add` gives it as help, so that the list of all commands loads none of them.
Rule 2: the module is loaded when the command is named.  What only one action of it needs and is slow to load
(NumPy, gRPC, an engine) is imported by the function that does that action.
tests/house/test_command_lines.py holds both.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fairway.errors import FairwayError

Run = Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a program, not loaded yet."""

    name: str
    help: str
    module: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program: what it is called, what it is for, and its commands."""

    name: str
    description: str
    commands: tuple[Command, ...]

    def parser(self, argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
        """Return the parser of `argv`, with the arguments of the command it names; of all, without `argv`."""
        root = argparse.ArgumentParser(prog=self.name, description=self.description)
        below = root.add_subparsers(title="commands", metavar="COMMAND")
        for command in self.commands:
            if argv is None or command.name in argv[:1]:
                importlib.import_module(command.module).add(below)
            else:
                below.add_parser(command.name, help=command.help)
        return root

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Return 0 on success, 1 for an error we understand, 2 for a wrong command line."""
        words = sys.argv[1:] if argv is None else argv
        return run(self.parser(words), words)


def run(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    """Parse `argv`, run the chosen command (`set_defaults(run=...)`) and translate errors once."""
    args = parser.parse_args(argv)
    command: Run | None = getattr(args, "run", None)
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code = command(args)
        sys.stdout.flush()
    except FairwayError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # whoever read has read enough
        _drop_output()
        return 1
    except OSError as error:  # where our output goes, the disk is full
        _drop_output()
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 1
    return code


def _drop_output() -> None:
    """Let go of what could not be written, or Python complains about it once more at the end."""
    with suppress(OSError):
        sys.stdout.close()
