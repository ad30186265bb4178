"""`edge-agent updates`: what is installed in this vehicle, what waits to be, and the driver's word.

Rule 1: results go to standard output, what is said about them to standard error.
Rule 2: exit code 0: done; 1: not, with one sentence why; 2: a wrong command line.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.adapters.updates_desk import SOCKET_NAME, ask
from edge_agent.cli.signals_text import shown
from edge_agent.config import Config
from fairway import config
from fairway.errors import BadInput

_ORDERS = (
    ("accept", "say yes to the update that asks"),
    ("decline", "say no to it: it is not installed, and the cloud is told"),
    ("check", "look for updates at once"),
)


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "updates",
        help="see how updates stand, accept, decline or postpone one",
        description="Updates of this vehicle: how they stand, why one went back, and the driver's word.",
    )
    below = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    _command(below, "status", "print how the update under way stands, and the last one", _status)
    why = _command(below, "why", "explain how an update ended, with the failed boot's log", _why)
    why.add_argument("action", nargs="?", default="", metavar="UPDATE", help="its name; the newest")
    for name, what in _ORDERS:
        _command(below, name, what, _order).set_defaults(order=name)
    postpone = _command(below, "postpone", "ask again later", _postpone)
    postpone.add_argument(
        "--minutes", type=float, default=60.0, metavar="N", help="after so many minutes"
    )


def _command(
    below: Any, name: str, what: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = below.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the agent's settings, TOML"
    )
    command.add_argument("--json", action="store_true", help="print facts as JSON")
    command.set_defaults(run=run)
    return command


def _asked(args: argparse.Namespace, question: str, **more: Any) -> Any:
    settings = config.load(Config, args.config)
    if settings.updates is None:
        raise BadInput(f"{args.config} has no [updates]: nothing is installed in this vehicle")
    return ask(settings.spool.dir / SOCKET_NAME, question, **more)


def _status(args: argparse.Namespace) -> int:
    told = _asked(args, "status")
    if args.json:
        print(json.dumps(told))
        return 0
    for line in status_lines(told):
        print(line)
    return 0


def status_lines(told: dict[str, Any]) -> list[str]:
    """Return how updates stand, for people."""
    lines, update = [], told["update"]
    if update is None:
        lines.append("no update is under way")
    else:
        lines.append(f"{shown(update['action'])} {update['stage']}, {update['percent']} %")
        lines += [f"  {shown(line)}" for line in update["text"].splitlines()]
        lines += [
            f"  {shown(one['ecu'])}: {shown(one['name'])} {shown(one['version'])} {one['done']}"
            for one in update["images"]
        ]
        lines += [f"  waits: {shown(one)}" for one in told["waits_for"]]
        if told["asks_driver"]:
            lines.append("  the driver is asked: accept, decline or postpone")
    if told["last"] is not None:
        lines.append(f"last: {_ended(told['last'])}")
    if told["trouble"]:
        lines.append(f"trouble: {shown(told['trouble'])}")
    return lines


def _ended(done: dict[str, Any]) -> str:
    time = datetime.fromtimestamp(done["time_ns"] / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    why = f": {shown(done['sentence'])}" if done["sentence"] else ""
    return f"{shown(done['action'] or 'an update')} {done['stage']} at {time}{why}"


def _why(args: argparse.Namespace) -> int:
    told = _asked(args, "why", action=args.action)
    if args.json:
        print(json.dumps(told))
        return 0
    if "time_ns" not in told:
        print(f"{shown(told['action'])} is under way: {told['stage']}, step {told['step']}")
        return 0
    print(_ended(told))
    if told["ecu"]:
        print(f"  ECU: {shown(told['ecu'])}")
    for one in told["never_again"]:
        print(f"  {shown(one['version'])} is never tried again in {shown(one['ecu'])}")
    for line in told["log"]:
        print(f"  | {shown(line)}")
    return 0


def _order(args: argparse.Namespace) -> int:
    _asked(args, args.order)
    if args.json:
        print(json.dumps({"order": args.order}))
    return 0


def _postpone(args: argparse.Namespace) -> int:
    if not 0 < args.minutes <= 43_200:
        raise BadInput(f"--minutes is {args.minutes:g}; choose from above 0 to 43200")
    _asked(args, "postpone", seconds=args.minutes * 60)
    if args.json:
        print(json.dumps({"order": "postpone", "minutes": args.minutes}))
    return 0
