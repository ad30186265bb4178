"""What a person on this machine asks about campaigns at the agent's own socket: `edge-agent campaign`.

    {"ask": "list"}                     -> {"answer": [{...}, ...]}
    {"ask": "why", "campaign": "name"}  -> {"answer": {...}}

Rule 1: what is asked shows where the vehicle was: see local_door.py for who may ask.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.adapters import local_door
from edge_agent.adapters.local_door import LocalDoor, Terms
from fairway import log

EVENTS = log.get("edge_agent.campaigns")

SOCKET_NAME = "campaigns.sock"
_TERMS = Terms(request_max_bytes=4096, timeout_s=10.0)


def campaign_door(path: Path, listed: Callable[[], Any], why: Callable[[str], Any]) -> LocalDoor:
    """Return the door at `path`; `why` is given the name of a campaign, and may raise BadInput."""

    async def list_(_: dict[str, Any]) -> Any:
        return listed()

    async def explain(asked: dict[str, Any]) -> Any:
        return why(str(asked.get("campaign", "")))

    return LocalDoor(
        path,
        {"list": list_, "why": explain},
        _TERMS,
        lambda reason: EVENTS.warning("no_campaign_door", path=str(path), reason=reason),
    )


def asked(path: Path, question: str, campaign: str = "") -> Any:
    """Ask the agent that listens at `path`.  Raises Unavailable or BadInput."""
    return local_door.ask(path, _TERMS, question, campaign=campaign)
