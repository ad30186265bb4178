"""What commands about people and keys have in common: who runs them, and how times are shown."""

import datetime as dt
import getpass

from fairway.clock import NS_PER_S


def actor() -> str:
    """Return who runs this command, as the audit log calls them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "cli:unknown"


def shown(time_ns: int | None) -> str:
    """Return a time for a person to read."""
    if time_ns is None:
        return "never"
    return dt.datetime.fromtimestamp(time_ns // NS_PER_S, tz=dt.UTC).isoformat()
