"""Mounts of tests: where they are possible, and gone again whatever happened."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.adapters import overlay
from tests.shared_data import missing


def needs_mounts() -> None:
    """End a test that needs the right to mount."""
    if os.geteuid() != 0:
        missing("this test mounts file systems: run it as root")


@contextmanager
def all_unmounted(below: Path) -> Iterator[None]:
    """Unmount, in the end, all that is mounted below a folder."""
    try:
        yield
    finally:
        for at in sorted(overlay.mounted(), reverse=True):
            if below in at.parents:
                overlay._unmount(at)
