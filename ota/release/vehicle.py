"""A vehicle's own eyes: the trust core of vehicles looks for each image in files to be published.

Rule 1: this is the code that runs in vehicles, with its caps: what it refuses is not published.
"""

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from fairway.errors import Tampered
from ota.manifest import Image
from ota.trust.delegations import LOADED_MAX, Search
from ota.trust.kept import Kept, Ledger, Moment
from ota.trust.model import Repository, Wanted
from ota.trust.top_level import Sight, top_level

Answer = TypeVar("Answer")
Files = Callable[[str], bytes | None]


def taken(files: Files, root: bytes, images: Iterable[Image], now_ns: int) -> None:
    """Raise Tampered for the first image that a vehicle would not find, or find otherwise."""
    kept = Kept(roles={(Repository.IMAGE, "root"): root})
    sight = Sight(Repository.IMAGE, Ledger(kept), Moment(now_ns, kept))
    top = _driven(files, top_level(sight))
    search = Search(sight, top)
    for number, image in enumerate(images, 1):
        if number % (LOADED_MAX // 4) == 0:  # as many vehicles: none needs all bins
            search = Search(sight, top)
        found = _driven(files, search.find(image.path))
        if found is None or found.target.hashes.get("sha256") != image.sha256:
            raise Tampered(f"a vehicle would not find {image.path} as it is listed")


def _driven(files: Files, steps: Generator[Wanted, bytes | None, Answer]) -> Answer:
    try:
        wanted = next(steps)
        while True:
            data = files(wanted.name)
            # A vehicle stops reading there; one byte more shows that the file is too long.
            wanted = steps.send(None if data is None else data[: wanted.max_bytes + 1])
    except StopIteration as end:
        answer: Answer = end.value
        return answer
