"""How to ask the running agent about updates: light, for who asks needs nothing of what answers."""

from pathlib import Path
from typing import Any

from edge_agent.adapters import local_door
from edge_agent.adapters.local_door import Terms

SOCKET_NAME = "updates.sock"
TERMS = Terms(65_536, who="agent with updates")


def ask(path: Path, question: str, /, **more: Any) -> Any:
    """Ask the agent that listens at `path`.  Raises what it says, Unavailable where there is none."""
    return local_door.ask(path, TERMS, question, **more)
