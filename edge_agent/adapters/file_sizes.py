"""Sizes of the files that an operator lets campaigns ask for."""

from collections.abc import Sequence
from pathlib import Path
from stat import S_ISREG

from fairway.errors import Denied, Unavailable

# PATH_MAX of Linux.
_PATH_MAX_CHARACTERS = 4096


class AllowedFileSizes:
    """Files that are named, and those below directories that are named; links do not lead out."""

    def __init__(self, allowed: Sequence[Path]) -> None:
        self._allowed = tuple(path.resolve() for path in allowed)

    def size_bytes(self, path: str) -> int:
        denied = Denied(
            f"campaigns may not ask for the size of {path[:100]!r}; functions.file_size_paths says of which"
        )
        if not path.startswith("/") or "\0" in path or len(path) > _PATH_MAX_CHARACTERS:
            raise denied
        try:
            found = Path(path).resolve()
            if not any(found.is_relative_to(one) for one in self._allowed):
                raise denied
            status = found.stat()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            if any(Path(path).is_relative_to(one) for one in self._allowed):
                raise Unavailable(f"the size of {path} is not known: {error}") from error
            raise denied from error
        if not S_ISREG(status.st_mode):
            raise Unavailable(f"{path} is no file")
        return status.st_size
