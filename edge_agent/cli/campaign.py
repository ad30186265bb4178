"""`edge-agent campaign`: try campaigns on recorded drives, see what runs, and why it sends what it sends."""

import argparse
from typing import Any

from edge_agent.cli import dry_run


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "campaign",
        help="try campaigns on recorded drives",
        description="Campaigns: what is collected, when, and why.",
    )
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    dry_run.add(actions)
