"""`edge-agent lint-dbc FILE...`: reads bus databases as the agent would and says what is odd about them.

Exit codes: 0 every file was read, 1 some file could not be (or, with --strict, some file has problems).
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent.canbus import database
from edge_agent.canbus.model import Database, Problem
from fairway.errors import BadInput

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives the type no public name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file."""

    file: str
    loaded: bool
    messages: int = 0
    signals: int = 0
    problems: tuple[Problem, ...] = ()
    error: str = ""

    @property
    def errors(self) -> int:
        """Return how many problems kept something from being taken over."""
        return sum(problem.severity == "error" for problem in self.problems)


def add(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "lint-dbc",
        help="read bus databases and list what is odd about them",
        description="Read DBC, KCD, ARXML and SYM files leniently and list what is odd about them.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when there are problems")
    parser.add_argument("--quiet", action="store_true", help="do not list warnings")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read every file, print what was found, and return the exit code."""
    verdicts = []
    for path in args.files:
        verdict = judge(path)
        verdicts.append(verdict)
        if not args.json:
            print("\n".join(told(verdict, quiet=args.quiet)))
    if args.json:
        print(json.dumps(document(verdicts), ensure_ascii=False, indent=1))
    else:
        print(summary(verdicts))
    failed = any(not verdict.loaded or (args.strict and verdict.problems) for verdict in verdicts)
    return 1 if failed else 0


def judge(path: Path) -> Verdict:
    """Return what became of the file `path`."""
    try:
        read: Database = database.load(path)
    except BadInput as error:
        return Verdict(str(path), loaded=False, error=str(error))
    signals = sum(len(message.signals) for message in read.messages)
    return Verdict(
        str(path), loaded=True, messages=len(read.messages), signals=signals, problems=read.problems
    )


def told(verdict: Verdict, *, quiet: bool) -> list[str]:
    """Return the lines for people: `FILE:LINE: severity: text`, then the file's own line."""
    if not verdict.loaded:
        return [f"{verdict.file}: not loaded: {verdict.error}"]
    lines = [
        f"{verdict.file}:{problem.line}: {problem.severity}: {problem.text}"
        for problem in verdict.problems
        if not quiet or problem.severity == "error"
    ]
    lines.append(
        f"{verdict.file}: loaded, {_count(verdict.messages, 'message')}, "
        f"{_count(verdict.signals, 'signal')}, {_count(verdict.errors, 'error')}, "
        f"{_count(len(verdict.problems) - verdict.errors, 'warning')}"
    )
    return lines


def summary(verdicts: list[Verdict]) -> str:
    """Return the last line."""
    loaded = sum(verdict.loaded for verdict in verdicts)
    errors = sum(verdict.errors for verdict in verdicts)
    problems = sum(len(verdict.problems) for verdict in verdicts)
    return (
        f"{loaded} of {_count(len(verdicts), 'file')} loaded: "
        f"{_count(sum(verdict.messages for verdict in verdicts), 'message')}, "
        f"{_count(sum(verdict.signals for verdict in verdicts), 'signal')}, "
        f"{_count(errors, 'error')}, {_count(problems - errors, 'warning')}"
    )


def document(verdicts: list[Verdict]) -> dict[str, object]:
    """Return everything, for machines."""
    return {
        "files": [asdict(verdict) for verdict in verdicts],
        "loaded": sum(verdict.loaded for verdict in verdicts),
        "messages": sum(verdict.messages for verdict in verdicts),
        "signals": sum(verdict.signals for verdict in verdicts),
        "errors": sum(verdict.errors for verdict in verdicts),
        "warnings": sum(len(verdict.problems) - verdict.errors for verdict in verdicts),
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
