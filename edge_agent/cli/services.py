"""`edge-agent services`: what services run in this vehicle, what they say, and orders for them.

    check, import         files only
    apply, list, why ...  the running agent, at its socket beside the spool
    try                   an agent of its own, on a recorded drive (services_try.py)

Rule 1: results go to standard output, what is said about them to standard error.
Rule 2: exit code 0: done; 1: not, with one sentence why; 2: a wrong command line.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from edge_agent.cli import services_files, services_images, services_orders, services_try
from edge_agent.cli.services_desk import add_where, asked
from edge_agent.cli.services_text import explained, status_columns
from edge_agent.cli.signals_text import shown, table


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "services",
        help="run services in the vehicle, and see what they do",
        description="Services (virtual ECUs): check, apply, watch and explain them, or try one on a drive.",
    )
    below = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    services_orders.add(below)
    listing = _command(below, "list", "print how all services stand", _list)
    add_where(listing)
    why = _command(
        below, "why", "explain how a service stands: what it waits for, how it ended", _why
    )
    why.add_argument("name", metavar="NAME", help="the service")
    add_where(why)
    services_images.add(below)
    services_files.add(below)
    services_try.add(below)


def _command(
    below: Any, name: str, what: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = below.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    command.set_defaults(run=run)
    return command


def _list(args: argparse.Namespace) -> int:
    statuses = asked(args.config, "list")
    if args.json:
        print(json.dumps(statuses))
        return 0
    for line in table(statuses, status_columns())[0] if statuses else ["there are no services"]:
        print(line)
    for one in statuses:
        for warning in one["warnings"]:
            print(f"{shown(one['name'])}: {shown(warning)}")
    return 0


def _why(args: argparse.Namespace) -> int:
    told = asked(args.config, "why", name=args.name)
    if args.json:
        print(json.dumps(told))
        return 0
    for line in explained(told):
        print(line)
    return 0
