"""Records in a folder, a file each: a power cut leaves the old one or the new one."""

from pathlib import Path

from edge_agent.adapters.disk import Disk, RealDisk, replace_file
from fairway.errors import Unavailable

# The largest list of campaigns that travels; what is larger was not written by us.
RECORD_MAX_BYTES = 16 * 1024 * 1024


class KeptFiles:
    """Keeps records as files."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder, self._disk = folder, disk or RealDisk()

    def read(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                record = file.read(RECORD_MAX_BYTES + 1)
        except OSError:
            return None
        return record if len(record) <= RECORD_MAX_BYTES else None

    def keep(self, name: str, record: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._disk, self._folder / name, record)
        except OSError as error:
            raise Unavailable(f"{self._folder / name} cannot be kept: {error.strerror}") from error


class MemoryKept:
    """Keeps records for as long as the process lives."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.records.get(name)

    def keep(self, name: str, record: bytes) -> None:
        self.records[name] = record
