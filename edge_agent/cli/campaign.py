"""`edge-agent campaign`: try campaigns on recorded drives, see what runs, and why it sends what it sends."""

import argparse
import json
from pathlib import Path
from typing import Any

from edge_agent.cli import dry_run
from edge_agent.config import Config
from fairway import config


def add(commands: "argparse._SubParsersAction[Any]") -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "campaign",
        help="try campaigns on recorded drives, or ask the running agent about its own",
        description="Campaigns: what is collected, when, and why.",
    )
    below = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    dry_run.add(below)
    listing = below.add_parser(
        "list", help="which campaigns there are", description="Show every campaign and its state."
    )
    _common(listing)
    listing.set_defaults(run=run_list)
    why = below.add_parser(
        "why",
        help="why a campaign sends what it sends",
        description="Say what a campaign saw last, what it waits for, and what would be sent.",
    )
    why.add_argument("campaign", metavar="NAME", help="its name or sync id")
    _common(why)
    why.set_defaults(run=run_why)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the agent's settings, TOML"
    )
    command.add_argument("--json", action="store_true", help="print facts as JSON")


def run_list(args: argparse.Namespace) -> int:
    """Show all campaigns."""
    campaigns = _asked(args.config, "list")
    if args.json:
        print(json.dumps(campaigns))
        return 0
    for one in campaigns:
        print(
            "{name}  {state}  {triggers} events, {samples} samples, {sent_bytes} bytes sent, "
            "{waiting_bytes} wait  {sync_id}".format(**one)
        )
        for text in [*([one["reason"]] if one["reason"] else []), *one["warnings"]]:
            print(f"    {text}")
    return 0


def run_why(args: argparse.Namespace) -> int:
    """Explain one campaign."""
    why = _asked(args.config, "why", args.campaign)
    if args.json:
        print(json.dumps(why))
        return 0
    print(f"{why['name']} ({why['status']['sync_id']})")
    for sentence in why["sentences"]:
        print(f"  {sentence}")
    return 0


def _asked(settings: Path, ask: str, campaign: str = "") -> Any:
    from edge_agent.adapters.campaign_door import SOCKET_NAME, asked  # noqa: PLC0415

    return asked(config.load(Config, settings).spool.dir / SOCKET_NAME, ask, campaign)
