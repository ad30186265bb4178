"""Real traffic, databases and vectors: a folder beside the checkout, never copied into it.

FAIRWAY_SHARED_DATA names another place.  Without the data a test fails in CI and skips loudly elsewhere.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FAIRWAY_SHARED_DATA", ROOT.parent / "shared" / "data"))


def shared(name: str) -> Path:
    """Return the path of `name` below the shared data, or end the test that needs it."""
    path = SHARED / name
    if not path.exists():
        missing(
            f"shared data {name} is not here: put it beside the checkout, or set FAIRWAY_SHARED_DATA"
        )
    return path


def missing(what: str) -> None:
    """Fail in CI, where every real part must be; skip, saying what is missing, elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
