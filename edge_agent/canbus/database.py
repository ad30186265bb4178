"""The front door to bus databases: a file becomes a Database, whatever its format.

    .dbc                       our own lenient reader (dbc.py)
    .kcd .arxml .sym           through cantools (foreign.py)

Rule 1: whatever the bytes, the outcome is a Database with its problems, or BadInput in one sentence.
"""

from pathlib import Path

from edge_agent.canbus import dbc, foreign
from edge_agent.canbus.model import Database
from fairway.errors import BadInput

# The largest database of the corpora has 0.8 MB, the largest seen in the trade some 20 MB.
DATABASE_MAX_BYTES = 64 * 1024 * 1024


def load(path: Path) -> Database:
    """Return the database in the file `path`.  Raises BadInput when nothing in it can be read."""
    try:
        with path.open("rb") as file:
            content = file.read(DATABASE_MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read the database {path}: {error.strerror}") from error
    try:
        return loads(content, name=path.stem, suffix=path.suffix)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def loads(content: bytes, *, name: str, suffix: str) -> Database:
    """Return the database in `content`; `suffix` (".dbc", ".kcd" ...) names its format.  Raises BadInput."""
    if len(content) > DATABASE_MAX_BYTES:
        raise BadInput(f"{name} is larger than {DATABASE_MAX_BYTES} bytes: not a bus database")
    if suffix.lower() == ".dbc":
        return dbc.read(content, name=name)
    if suffix.lower() in foreign.FORMATS:
        return foreign.read(content, name=name, suffix=suffix.lower())
    if suffix.lower() == ".cdd":
        raise BadInput(f"{name}.cdd describes diagnostic services, not frames: give a .dbc file")
    raise BadInput(f"{name}{suffix} has no known format: give a .dbc, .kcd, .arxml or .sym file")
