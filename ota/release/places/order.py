"""In which order files are written where that cannot be done at once.

Rule 1: what is named by another file comes before it; the timestamp is last, and makes all of it count.
"""

from collections.abc import Mapping

_LAST = ("timestamp.json",)


def in_order(files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Return files so that a reader in between sees the old state, or the new one."""

    def rank(item: tuple[str, bytes]) -> tuple[int, str]:
        name = item[0]
        if name in _LAST:
            return 2, name
        return (1 if name.endswith(".snapshot.json") else 0), name

    return sorted(files.items(), key=rank)
