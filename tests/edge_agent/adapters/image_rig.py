"""What tests of unpacking have in common: a folder outside that nothing may touch."""

import io
from pathlib import Path

from edge_agent.adapters.images_unpack import Layer, unpack
from fairway.oci.model import Compression, digest_of
from fairway.oci.packed import Limits
from tests.images import packed

LIMITS = Limits()
SECRET = b"of the vehicle"


def make_outside(path: Path) -> Path:
    (path / "folder").mkdir(parents=True)
    (path / "passwd").write_bytes(SECRET)
    return path


def unpacked(to: Path, tar: bytes, *, how: str = "", limits: Limits = LIMITS) -> Layer:
    to.mkdir(exist_ok=True)
    stream = io.BytesIO(packed(tar, how))
    return unpack(stream.read, Compression(how), digest_of(tar), to, limits)


def untouched(outside: Path) -> bool:
    names = {path.relative_to(outside).as_posix() for path in outside.rglob("*")}
    return names == {"passwd", "folder"} and (outside / "passwd").read_bytes() == SECRET
