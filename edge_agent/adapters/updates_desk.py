"""A socket beside the spool where a person or a head unit asks about updates: `edge-agent updates`.

    {"ask": "status"}                         -> {"answer": {...}}
    {"ask": "postpone", "seconds": 3600}      -> {"answer": null}
    {"ask": "why", "action": "a17"}           -> {"error": "...", "kind": "BadInput"}

Rule 1: only the agent's own user may open it, or the group that the settings of apps name.
Rule 2: one line each way, then the connection ends; both have limits, and what comes late is given up.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edge_agent.adapters.service_desk import ask as asked
from edge_agent.adapters.service_desk import own_socket
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_look import Looks
from edge_agent.updates import told
from edge_agent.updates.order import Consent
from fairway import log
from fairway.errors import BadInput, FairwayError

EVENTS = log.get("edge_agent.updates")

SOCKET_NAME = "updates.sock"
REQUEST_MAX_BYTES = 65_536
READ_TIMEOUT_S = 10.0
POSTPONE_MAX_S = 30 * 86_400.0

ask = asked


class UpdatesDesk:
    """Answers."""

    def __init__(self, path: Path, updates: Updates, looks: Looks | None) -> None:
        self._path, self._updates, self._looks = path, updates, looks
        self._server: asyncio.Server | None = None
        self._answers: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "why": self._why,
            "check": self._check,
            "accept": lambda _: updates.consent(Consent.ACCEPTED),
            "decline": lambda _: updates.consent(Consent.DECLINED),
            "postpone": self._postpone,
        }

    async def start(self) -> None:
        """Listen, if that can be."""
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._answer, sock=own_socket(self._path), limit=REQUEST_MAX_BYTES
            )
        except OSError as error:
            EVENTS.warning("no_updates_desk", path=str(self._path), reason=str(error))

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                line = await reader.readline()
            writer.write(await self._said(line) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _said(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or request.get("ask") not in self._answers:
                raise BadInput(f"ask one of {', '.join(self._answers)}")
            answer = await self._answers[request["ask"]](request)
        except FairwayError as error:
            return json.dumps({"error": str(error), "kind": type(error).__name__}).encode()
        except (ValueError, RecursionError):
            return json.dumps({"error": "the question is no JSON", "kind": "BadInput"}).encode()
        return json.dumps({"answer": answer}).encode()

    async def _status(self, _: dict[str, Any]) -> Any:
        updates, looks = self._updates, self._looks
        return told.status(
            updates.kept,
            updates.standing.waits_for,
            asks=updates.asks_driver,
            step=looks.step if looks else None,
            trouble=looks.trouble if looks else "updates have no cloud",
        )

    async def _why(self, asked_: dict[str, Any]) -> Any:
        action = asked_.get("action", "")
        if not isinstance(action, str):
            raise BadInput("action is no text")
        return told.why(self._updates.kept, action)

    async def _check(self, _: dict[str, Any]) -> Any:
        if self._looks is None:
            raise BadInput("these settings have no cloud for updates: set [updates] url")
        self._looks.soon()

    async def _postpone(self, asked_: dict[str, Any]) -> Any:
        seconds = asked_.get("seconds", 3600)
        if not isinstance(seconds, int | float) or not 0 < seconds <= POSTPONE_MAX_S:
            raise BadInput(f"postpone it by 1 to {POSTPONE_MAX_S:.0f} seconds")
        await self._updates.consent(Consent.POSTPONED, postpone_s=float(seconds))
