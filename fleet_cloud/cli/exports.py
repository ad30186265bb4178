"""Files that were exported and are verified again: read from where they lie, or from standard input as `-`."""

import sys
from pathlib import Path
from typing import BinaryIO

from fairway.errors import BadInput


def opened(path: Path) -> BinaryIO:
    """Return a file that is open to be read.  Raises BadInput."""
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def content(path: Path) -> bytes:
    """Return all of a file.  Raises BadInput."""
    with opened(path) as file:
        return file.read()
