"""A wall clock that real programs believe and a test can set: Debian's libfaketime, preloaded."""

from pathlib import Path

from tests.shared_data import missing


class FakeWall:
    """The wall clock of every program started with `environment`; their monotonic clock stays true."""

    def __init__(self, file: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            missing("libfaketime is not here: apt-get install faketime (.ci/packages)")
        self._file = file
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds: reading the file each time would cost more
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, ahead_s: int) -> None:
        """Set the clock `ahead_s` before (or behind) the true time, within a second."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)
