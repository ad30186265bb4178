"""`--dbc CHANNEL=FILE[,FILE]`: which databases describe which channel, the same for every command."""

from collections.abc import Sequence
from pathlib import Path

from fairway.errors import BadInput


def databases_of(texts: Sequence[str]) -> dict[str, list[Path]]:
    """Read `CHANNEL=FILE[,FILE]` options into files by channel.  Raises BadInput."""
    files: dict[str, list[Path]] = {}
    for text in texts:
        name, equals, paths = text.partition("=")
        if not name or not equals or not all(paths.split(",")):
            raise BadInput(f"--dbc {text} is not CHANNEL=FILE[,FILE]")
        files.setdefault(name, []).extend(Path(path) for path in paths.split(","))
    return files
