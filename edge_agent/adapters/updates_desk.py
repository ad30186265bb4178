"""A socket beside the spool where a person or a head unit asks about updates: `edge-agent updates`.

    {"ask": "status"}                         -> {"answer": {...}}
    {"ask": "postpone", "seconds": 3600}      -> {"answer": null}

Rule 1: who answers for the driver may start an installation: see local_door.py for who may ask.
"""

from pathlib import Path
from typing import Any

from edge_agent.adapters import local_door
from edge_agent.adapters.local_door import LocalDoor, Terms
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_look import Looks
from edge_agent.updates import told
from edge_agent.updates.order import Consent
from fairway import log
from fairway.errors import BadInput

EVENTS = log.get("edge_agent.updates")

SOCKET_NAME = "updates.sock"
POSTPONE_MAX_S = 30 * 86_400.0
_TERMS = Terms(65_536, who="agent with updates")


class UpdatesDesk:
    """Answers."""

    def __init__(self, path: Path, updates: Updates, looks: Looks | None) -> None:
        """`looks` is None in a vehicle without a cloud for updates."""
        self._updates, self._looks = updates, looks
        handlers: dict[str, local_door.Handler] = {
            "status": self._status,
            "why": self._why,
            "check": self._check,
            "accept": lambda _: updates.consent(Consent.ACCEPTED),
            "decline": lambda _: updates.consent(Consent.DECLINED),
            "postpone": self._postpone,
        }
        self._door = LocalDoor(
            path,
            handlers,
            _TERMS,
            lambda reason: EVENTS.warning("no_updates_desk", path=str(path), reason=reason),
        )

    async def start(self) -> None:
        """Listen, if that can be."""
        await self._door.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.stop()

    async def _status(self, _: dict[str, Any]) -> Any:
        updates, looks = self._updates, self._looks
        return told.status(
            updates.kept,
            updates.standing.waits_for,
            asks=updates.asks_driver,
            step=looks.step if looks else None,
            trouble=looks.trouble if looks else "no cloud: set [updates] url, or [identity]",
        )

    async def _why(self, asked: dict[str, Any]) -> Any:
        action = asked.get("action", "")
        if not isinstance(action, str):
            raise BadInput("action is no text")
        return told.why(self._updates.kept, action)

    async def _check(self, _: dict[str, Any]) -> None:
        if self._looks is None:
            raise BadInput("these settings have no cloud for updates: set [updates] url")
        self._looks.soon()

    async def _postpone(self, asked: dict[str, Any]) -> None:
        seconds = asked.get("seconds", 3600)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise BadInput("seconds is no number")
        if not 0 < seconds <= POSTPONE_MAX_S:
            raise BadInput(f"postpone it by 1 to {POSTPONE_MAX_S:.0f} seconds")
        await self._updates.consent(Consent.POSTPONED, postpone_s=float(seconds))


def ask(path: Path, question: str, /, **more: Any) -> Any:
    """Ask the agent that listens at `path`.  Raises what it says, Unavailable where there is none."""
    return local_door.ask(path, _TERMS, question, **more)
