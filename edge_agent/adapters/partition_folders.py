"""Where partitions are on the disk: one folder each, a spool with a file beside it that says whose it is.

    <spool>/campaigns/3f0a.../critical/terms.json      what the campaign said of it
    <spool>/campaigns/3f0a.../critical/...             a spool: spool_files.py
    <spool>/campaigns/3f0a.../_/                       what goes at once

Rule 1: a folder is made when there is something to put into it, and its terms are durable before that.
Rule 2: the lock of the agent's spool guards all of them.
"""

import contextlib
import dataclasses
import hashlib
import json
import secrets
import shutil
from pathlib import Path

from edge_agent.adapters.disk import Disk, RealDisk, replace_file
from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.telemetry.partitions import MEMORY_MAX_BYTES, Key, Terms
from edge_agent.telemetry.spool import PartitionSpool
from fairway import log
from fairway.errors import BadInput, Unavailable

EVENTS = log.get("edge_agent.campaigns")

TERMS_MAX_BYTES = 64 * 1024
_AT_ONCE = "_"


class PartitionFolders:
    """Makes, finds and removes partitions below one folder."""

    def __init__(self, folder: Path, *, max_bytes: int, disk: Disk | None = None) -> None:
        """`max_bytes` is what all partitions together may have."""
        self._folder, self._max_bytes = folder, max_bytes
        self._disk = disk or RealDisk()

    def found(self) -> list[tuple[Terms, PartitionSpool]]:
        """Return every partition that an earlier run left; one that is damaged is set aside."""
        partitions: list[tuple[Terms, PartitionSpool]] = []
        for path in sorted(self._folder.glob("*/*/terms.json")):
            try:
                terms = _terms(path.read_bytes()[: TERMS_MAX_BYTES + 1])
                partitions.append((terms, self._opened(terms)))
            except (OSError, BadInput) as error:
                kept = path.with_name("terms.json.damaged")
                EVENTS.error("partition_damaged", folder=str(path.parent), reason=str(error))
                with contextlib.suppress(OSError):
                    path.rename(kept)
        return partitions

    def opened(self, terms: Terms) -> PartitionSpool:
        """Return the spool of a partition, made if need be.  Raises Unavailable."""
        if not terms.is_durable:
            return MemorySpool(stream=secrets.token_hex(8), max_bytes=MEMORY_MAX_BYTES)
        self.keep_terms(terms)
        return self._opened(terms)

    def keep_terms(self, terms: Terms) -> None:
        """Return once what a campaign says of a partition is durable.  Raises Unavailable."""
        if not terms.is_durable:
            return
        path = self._path(terms.key) / "terms.json"
        data = json.dumps(dataclasses.asdict(terms)).encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != data:
                replace_file(self._disk, path, data)
        except OSError as error:
            raise Unavailable(f"the partition {path.parent} cannot be kept: {error}") from error

    def remove(self, terms: Terms, spool: PartitionSpool) -> None:
        """Remove a partition, with whatever is in it."""
        spool.close()
        if terms.is_durable:
            path = self._path(terms.key)
            # First what makes it a partition: a half-removed folder is none any more.
            with contextlib.suppress(OSError):
                (path / "terms.json").unlink()
                shutil.rmtree(path)
                path.parent.rmdir()

    def _opened(self, terms: Terms) -> SpoolFiles:
        most = min(terms.max_bytes or self._max_bytes, self._max_bytes)
        path = self._path(terms.key)
        spool = SpoolFiles(path, max_bytes=most, disk=self._disk, is_guarded=True)
        spool.rest()
        return spool

    def _path(self, key: Key) -> Path:
        campaign = hashlib.sha256(key.campaign.encode()).hexdigest()[:16]
        return self._folder / campaign / (key.partition or _AT_ONCE)


def _terms(data: bytes) -> Terms:
    """Read what stands beside a partition.  Raises BadInput."""
    if len(data) > TERMS_MAX_BYTES:
        raise BadInput(f"terms of more than {TERMS_MAX_BYTES} bytes are none of ours")
    try:
        said = json.loads(data)
        return Terms(**said | {"key": Key(**said["key"])})
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"these are no terms of a partition: {error}") from error
