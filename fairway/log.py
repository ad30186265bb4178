"""Log lines are events with facts, one line each: `time level logger event key=value ...` or JSON.

Rule 1: the event is a fixed word; what varies is a fact.
Rule 2: no secrets, no certificates, no positions.
"""

import json
import logging
import sys
from typing import Any, TextIO


class EventLog:
    """A named source of events; a thin face on the standard library's logging."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **facts: Any) -> None:
        """Say something only a developer wants to know."""
        self._emit(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Say that something changed."""
        self._emit(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Say that something was handled, but is worth a look."""
        self._emit(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Say that a person must act."""
        self._emit(logging.ERROR, event, facts)

    def _emit(self, level: int, event: str, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"facts": facts})


def get(name: str) -> EventLog:
    """Return the log called `name`."""
    return EventLog(name)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        told = "".join(f" {key}={_shown(value)}" for key, value in facts.items())
        stamp = self.formatTime(record, "%H:%M:%S")
        return f"{stamp} {record.levelname.lower():7} {record.name} {record.getMessage()}{told}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        line = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "log": record.name,
            "event": record.getMessage(),
            **facts,
        }
        return json.dumps(line, default=str, ensure_ascii=False)


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or "=" in text or not text else text


def set_up(*, level: str = "info", as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (standard error by default)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("asyncio", "can", "clickhouse_connect", "alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
