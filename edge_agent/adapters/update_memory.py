"""The cloud's side of updates in memory, for trials and tests: nothing outlives the process."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edge_agent.adapters.update_parts import BadChunk, Part, is_blob
from edge_agent.updates.fetching import Attacked, chunk_hashes, chunk_list
from fairway.errors import BadInput, Denied
from fairway.update import UpdateEvent
from ota.manifest import Blob
from ota.registration import Registered
from ota.trust.model import Attack, Repository, Wanted


class MemoryUpdateServer:
    """Metadata, Content and Reports in one."""

    def __init__(self) -> None:
        self.files: dict[tuple[Repository, str], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.reports: list[bytes] = []
        self.events: dict[tuple[str, int], UpdateEvent] = {}
        self.ecus: tuple[Registered, ...] = ()

    def put(self, data: bytes) -> str:
        """Have a blob, and return its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    async def get(self, wanted: Wanted) -> bytes | None:
        found = self.files.get((wanted.repository, wanted.name))
        if found is not None and len(found) > wanted.max_bytes:
            raise Attacked(
                Attack.ENDLESS_DATA, f"{wanted.name} has more than {wanted.max_bytes} bytes"
            )
        return found

    async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
        if is_blob(path, blob):
            return 0
        listed = chunk_list(blob)
        hashes = chunk_hashes(self.blobs.get(listed.sha256, b"")) if listed else ()
        data = self.blobs.get(blob.sha256)
        if data is None:
            raise BadInput(f"404 for {blob.sha256}")
        part = Part(blob, path, hashes, lambda _: None)
        try:
            took = part.left
            if most_bytes is not None and took > most_bytes:
                raise Denied(
                    f"{blob.sha256} needs {took} more bytes, and {most_bytes} may be taken"
                )
            part.check_room()
            part.write(data[part.have :])
            part.finish()
        except BadChunk as error:
            raise Attacked(
                Attack.ARBITRARY_SOFTWARE, f"a chunk of {blob.sha256} is wrong"
            ) from error
        finally:
            part.pause()
        return took

    async def report(self, signed: bytes) -> None:
        if not signed.startswith(b"{"):
            raise BadInput("the report is no JSON")
        self.reports.append(signed)

    async def tell(self, events: Sequence[UpdateEvent]) -> None:
        for event in events:
            self.events.setdefault((event.action, event.sequence), event)

    async def register(self, ecus: Sequence[Registered]) -> None:
        """Make the vehicle's ECUs known."""
        self.ecus = tuple(ecus)
