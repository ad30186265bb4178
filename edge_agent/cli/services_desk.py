"""How the commands of `edge-agent services` reach the agent that runs."""

import argparse
from pathlib import Path
from typing import Any

from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from edge_agent.config import Config
from fairway import config


def add_where(command: argparse.ArgumentParser, *, with_json: bool = True) -> None:
    """Declare the arguments that say which agent."""
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the agent's settings, TOML"
    )
    if with_json:
        command.add_argument("--json", action="store_true", help="print facts as JSON")


def asked(settings: Path, question: str, /, **more: Any) -> Any:
    """Ask the agent of these settings.  Raises BadInput, Unavailable, or what it says."""
    return ask(desk_of(settings), question, **more)


def desk_of(settings: Path) -> Path:
    """Return where the agent of these settings listens.  Raises BadInput."""
    return config.load(Config, settings).spool.dir / SOCKET_NAME
