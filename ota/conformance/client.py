"""One plain TUF repository, brought up to date and searched: the trust core driven over HTTP."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from fairway.errors import BadInput, Tampered, Unavailable
from ota.conformance.store import FileStore, write_durably
from ota.trust.delegations import Search
from ota.trust.kept import Ledger, Moment
from ota.trust.model import Repository, Wanted
from ota.trust.top_level import Sight, top_level
from ota.tuf_library import LengthOrHashMismatchError, TargetFile

Answer = TypeVar("Answer")
Fetch = Callable[[str, int], bytes | None]


class Client:
    """A client for as long as one command runs: its view of the repository does not change."""

    def __init__(self, store: FileStore, metadata_url: str, now_ns: int, fetch: Fetch) -> None:
        self._store = store
        self._url = metadata_url.rstrip("/")
        self._fetch = fetch
        self._before = store.load()
        self._ledger = Ledger(self._before)
        moment = Moment(now_ns, self._before)
        self._sight = Sight(Repository.IMAGE, self._ledger, moment)
        self._search: Search | None = None

    def refresh(self) -> Search:
        """Bring the top-level roles up to date, once.  Raises Tampered, Unavailable."""
        if self._search is None:
            self._search = Search(self._sight, self._driven(top_level(self._sight)))
        return self._search

    def download(self, name: str, base_url: str, folder: Path) -> Path:
        """Fetch a target unless it is there already; return where it is.

        Raises BadInput when nobody lists it, Tampered, Unavailable.
        """
        search = self.refresh()
        found = self._driven(search.find(name))
        if found is None:
            raise BadInput(f"the repository lists no target {name!r:.120}")
        path = folder / quote(name, safe="")
        if _is_there(path, found.target):
            return path
        is_by_hash = bool(search.top.root.consistent_snapshot)
        url = f"{base_url.rstrip('/')}/{_asked_for(found.target, is_by_hash=is_by_hash)}"
        content = self._fetch(url, found.target.length)
        if content is None:
            raise Unavailable(f"the repository does not give {name!r:.120} away")
        if not _is_target(content, found.target):
            raise Tampered(f"{url} is not the target {name!r:.120}: its length or hash differs")
        write_durably(path, content)
        return path

    def _driven(self, steps: Generator[Wanted, bytes | None, Answer]) -> Answer:
        """Fetch what is wanted until there is an answer; what was verified is stored even if there is none."""
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self._fetch(f"{self._url}/{wanted.name}", wanted.max_bytes))
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            after = self._ledger.kept
            self._store.save(self._before, after)
            self._before = after


def _asked_for(target: TargetFile, *, is_by_hash: bool) -> str:
    folder, slash, name = target.path.rpartition("/")
    if is_by_hash:
        prefix = target.hashes.get("sha256") or next(iter(target.hashes.values()))
        name = f"{prefix}.{name}"
    return quote(f"{folder}{slash}{name}")


def _is_there(path: Path, target: TargetFile) -> bool:
    try:
        return path.stat().st_size == target.length and _is_target(path.read_bytes(), target)
    except OSError:
        return False


def _is_target(content: bytes, target: TargetFile) -> bool:
    try:
        target.verify_length_and_hashes(content)
    except LengthOrHashMismatchError:
        return False
    return True
