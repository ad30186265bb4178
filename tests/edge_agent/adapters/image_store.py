"""A store of images for tests, and an image that most of them use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.adapters.images import ImageStore
from fairway.oci.model import Platform
from tests.images import Made, file, folder, layer
from tests.overlays import all_unmounted, needs_mounts

BASE = layer(folder("etc"), file("etc/name", b"base"), file("etc/old", b"old"))
AMD64 = Platform("linux", "amd64")


@contextmanager
def opened_store(tmp_path: Path) -> Iterator[ImageStore]:
    needs_mounts()
    with all_unmounted(tmp_path):
        made = ImageStore(tmp_path / "store", here=AMD64)
        yield made
        made.close()


def app(text: bytes, **said: object) -> Made:
    return Made([BASE, layer(file("app", text))], **said)  # type: ignore[arg-type]


def kept(tmp_path: Path, kind: str) -> set[str]:
    return {path.name for path in (tmp_path / "store" / kind).iterdir()}
