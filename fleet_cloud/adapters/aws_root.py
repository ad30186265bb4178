"""The root that the secrets of AWS keys are made of: a file of the data directory, made once.

Rule 1: only its owner can read it; of two that make it at once one wins, and both use that one.
Rule 2: whoever loses it loses all AWS keys, and no other: they are made anew (`fleet-cloud key create --aws`).
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from fairway.errors import BadInput, Unavailable
from fleet_cloud.access.aws_keys import ROOT_BYTES

FILE = "aws-key-root"


def aws_root(folder: Path) -> bytes:
    """Return the root in a data directory, made when it is missing.  Raises BadInput, Unavailable."""
    path = folder / FILE
    try:
        if not path.exists():
            _make(path)
        found = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise Unavailable(f"cannot use {path}: {error.strerror}") from error
    except ValueError:
        found = b""
    if len(found) != ROOT_BYTES:
        raise BadInput(
            f"{path} holds no root of AWS keys: restore it, or remove it and make them anew"
        )
    return found


def _make(path: Path) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(ROOT_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody else was quicker: theirs is the root
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
