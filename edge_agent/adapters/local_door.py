"""A socket beside the spool where a person on this machine asks the agent: a question in JSON, an answer back.

    {"ask": "list"}                  -> {"answer": [...]}
    {"ask": "why", "name": "..."}    -> {"error": "...", "kind": "BadInput"}

Rule 1: only the agent's own user may open it.
Rule 2: one line each way, then the connection ends; both have limits, and what comes late is given up.
Rule 3: it is a convenience: an agent that cannot open it says so and runs on.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.errors import BadInput, Conflict, Denied, FairwayError, Tampered, Unavailable

ANSWER_MAX_BYTES = 16 * 1024 * 1024
ASKING_MAX = 16  # at once
READ_TIMEOUT_S = 10.0
# The agent gives up by itself; whoever asks waits a little longer, to be told.
_PATIENCE_S = 5.0

_KINDS: Mapping[str, type[FairwayError]] = {
    one.__name__: one for one in (BadInput, Conflict, Denied, Tampered, Unavailable)
}
# What a handler that looks into a question meets when it is none.
_NO_QUESTION = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a door takes."""

    request_max_bytes: int
    timeout_s: float = 30.0
    timeouts_s: Mapping[str, float] | None = None  # of questions that take longer
    who: str = "agent"  # is missed when nobody answers

    def limit_s(self, question: str) -> float:
        """Return how long an answer may take."""
        return (self.timeouts_s or {}).get(question, self.timeout_s)


class LocalDoor:
    """Answers."""

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        terms: Terms,
        failed: Callable[[str], None],
    ) -> None:
        """`handlers` answer by what is asked, and may raise; `failed` is told why nobody can ask."""
        self._path, self._handlers, self._terms, self._failed = path, handlers, terms, failed
        self._server: asyncio.Server | None = None
        self._asking = 0

    async def start(self) -> None:
        """Listen, if that can be."""
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._answer, sock=_own_socket(self._path), limit=self._terms.request_max_bytes
            )
        except OSError as error:
            self._failed(str(error))

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking += 1
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                line = await reader.readuntil(b"\n")
            answer = await self._said(line)
            async with asyncio.timeout(READ_TIMEOUT_S):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except asyncio.LimitOverrunError:
            said = _error(BadInput(f"that is over {self._terms.request_max_bytes} bytes"))
            writer.write(json.dumps(said).encode() + b"\n")
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever that was, it asked nothing, or left
        finally:
            self._asking -= 1
            writer.close()

    async def _said(self, line: bytes) -> dict[str, Any]:
        try:
            if self._asking > ASKING_MAX:
                raise Unavailable(f"{ASKING_MAX} others ask at this moment: try again")
            asked = json.loads(line)
            handler = self._handlers[asked["ask"]]
            async with asyncio.timeout(self._terms.limit_s(asked["ask"])):
                return {"answer": await handler(asked)}
        except FairwayError as error:
            return _error(error)
        except TimeoutError:
            return _error(Unavailable("that took too long, and was given up"))
        except _NO_QUESTION:
            return _error(BadInput('this is no question: write {"ask": "list"}'))


def ask(path: Path, terms: Terms, question: str, /, **more: Any) -> Any:
    """Ask the agent that listens at `path`.  Raises what it says, Unavailable where there is none."""
    request = json.dumps({"ask": question} | more).encode() + b"\n"
    if len(request) > terms.request_max_bytes:
        raise BadInput(
            f"these are {len(request)} bytes: {terms.request_max_bytes} at most go at once"
        )
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(terms.limit_s(question) + _PATIENCE_S)
            connection.connect(str(path))
            connection.sendall(request)
            while len(answer) <= ANSWER_MAX_BYTES and (part := connection.recv(65_536)):
                answer += part
    except OSError as error:
        raise Unavailable(f"no {terms.who} answers at {path}: {error.strerror or error}") from error
    try:
        said = json.loads(answer)
        if "error" not in said:
            return said["answer"]
        kind, sentence = _KINDS.get(said.get("kind"), BadInput), str(said["error"])
    except _NO_QUESTION as error:
        raise Unavailable(f"what answers at {path} is no agent of this version") from error
    raise kind(sentence)


def _error(error: FairwayError) -> dict[str, Any]:
    return {"error": str(error), "kind": type(error).__name__}


def _own_socket(path: Path) -> socket.socket:
    """Return a socket at `path` that only this user may open.  Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        made.bind(str(path))
    except OSError:
        made.close()
        raise
    finally:
        os.umask(mask)
    return made
