"""A vehicle that keeps trust 1, 2, 3 ... and says each number once it is kept: `trust_child.py FILE COUNT`."""

import sys
from pathlib import Path

from edge_agent.adapters.trust_store import SqliteTrust
from ota.trust.kept import Held, Kept
from ota.trust.model import Repository


def kept_number(number: int) -> Kept:
    """Return a trust all of whose parts say the same number."""
    roles = {
        (repository, role): f"{number} {role} ".encode() * (300 + 37 * (number % 5))
        for repository in Repository
        for role in ("root", "timestamp", "snapshot", "targets", f"supplier-{number % 3}")
    }
    return Kept(roles, {f"ecu-{one}": Held("fw", number) for one in range(8)}, time_ns=number)


def number_of(kept: Kept) -> int:
    """Return the number of a trust.  Fails unless it is whole."""
    number = kept.time_ns
    assert kept == (kept_number(number) if number else Kept())
    return number


if __name__ == "__main__":
    store = SqliteTrust(Path(sys.argv[1]), Kept())
    begin = number_of(store.read()) + 1
    for one in range(begin, begin + int(sys.argv[2])):
        store.keep(kept_number(one))
        print(one, flush=True)
