"""Which shared libraries a program needs: ELF files are read, nothing is run.

    program > its loader (PT_INTERP) and DT_NEEDED > the library in one of the folders > its DT_NEEDED ...

Rule 1: what a file says of itself is read within the file; a broken one is refused, not guessed at.
"""

import glob
import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fairway.errors import BadInput

_MAGIC = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_HEADERS_MAX = 1000
_INCLUDES_MAX = 100

# Where loaders look by themselves; TRIPLE is Debian's folder for one kind of machine.
_SYSTEM = ("/lib/TRIPLE", "/usr/lib/TRIPLE", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_TRIPLES = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu", 243: "riscv64-linux-gnu"}


@dataclass(frozen=True, slots=True)
class Binary:
    """What an ELF file says of itself."""

    machine: int
    needs: tuple[str, ...] = ()
    loader: str = ""
    folders: tuple[
        str, ...
    ] = ()  # of its own, where it looks first; $ORIGIN is the folder that it is in


@dataclass(slots=True)
class Closure:
    """All that some programs need."""

    libraries: dict[str, Path] = field(default_factory=dict)  # by the name that they are asked for
    loaders: dict[str, Path] = field(default_factory=dict)  # by their absolute names
    missing: dict[str, Path] = field(default_factory=dict)  # and who needs them


def is_elf(path: Path) -> bool:
    """Whether a file is a program or a library."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def binary(path: Path) -> Binary:
    """Read a 64-bit little-endian ELF file.  Raises BadInput."""
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _binary(data)
        except (ValueError, struct.error, IndexError) as error:
            raise BadInput(f"{path} is no ELF file that can be read: {error}") from error


def closure(programs: Iterable[Path], *, own: Iterable[Path] = ()) -> Closure:
    """Return the libraries that `programs` need beside those in folders of their own.

    `own` are folders that are there anyway, as those of an installed package: what is found in them through
    RUNPATH or RPATH is looked through, but is not listed.
    """
    found, owned = Closure(), [folder.resolve() for folder in own]
    waiting, seen = list(programs), set[Path]()
    while waiting:
        path = waiting.pop()
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        said = binary(real)
        if said.loader:
            found.loaders[said.loader] = Path(said.loader)
        for name in said.needs:
            library = _located(name, real, said)
            if library is None:
                found.missing.setdefault(name, path)
            else:
                waiting.append(library)
                if not any(folder in library.resolve().parents for folder in owned):
                    found.libraries.setdefault(name, library)
    for loader in found.loaders:
        found.libraries.pop(Path(loader).name, None)
    return found


def named(name: str, like: Path) -> Path | None:
    """Return the library `name` for programs like `like`, None when this machine has none."""
    return _located(name, like, binary(like))


def _located(name: str, needs: Path, said: Binary) -> Path | None:
    folders = [folder.replace("${ORIGIN}", "$ORIGIN") for folder in said.folders]
    own = [folder.replace("$ORIGIN", str(needs.parent)) for folder in folders if folder]
    for folder in (*own, *_system(said.machine), *_configured(Path("/etc/ld.so.conf"))):
        path = Path(folder) / name
        if path.is_file() and is_elf(path) and _machine(path) == said.machine:
            return path
    return None


def _system(machine: int) -> list[str]:
    triple = _TRIPLES.get(machine, "")
    return [
        folder.replace("TRIPLE", triple) for folder in _SYSTEM if triple or "TRIPLE" not in folder
    ]


def _configured(path: Path, deep: int = 0) -> list[str]:
    """Return the folders that the loader's configuration names, in its order."""
    folders: list[str] = []
    if deep > 3 or not path.is_file():
        return folders
    for line in path.read_text(errors="replace").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "include":
            pattern = str(path.parent / words[1])
            for one in sorted(glob.glob(pattern))[:_INCLUDES_MAX]:  # noqa: PTH207 - an absolute pattern
                folders += _configured(Path(one), deep + 1)
        elif words:
            folders += words
    return folders


def _machine(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(20)
    return int.from_bytes(head[18:20], "little") if len(head) == 20 and head[4:6] == b"\2\1" else -1


def _binary(data: mmap.mmap) -> Binary:
    if data[:4] != _MAGIC or data[4:6] != b"\2\1":
        raise ValueError("it is not 64-bit, little-endian")
    (machine,) = struct.unpack_from("<H", data, 18)
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    if count > _HEADERS_MAX:
        raise ValueError(f"it has {count} program headers")
    loads: list[tuple[int, int, int]] = []
    dynamic, loader = (0, 0), ""
    for number in range(count):
        kind, _, at, address, _, length = struct.unpack_from(
            "<IIQQQQ", data, offset + number * size
        )
        if kind == _PT_LOAD:
            loads.append((address, at, length))
        elif kind == _PT_DYNAMIC:
            dynamic = (at, length)
        elif kind == _PT_INTERP:
            loader = os.fsdecode(data[at : at + length].split(b"\0")[0])
    tags = _tags(data, *dynamic)
    strings = next((value for tag, value in tags if tag == _DT_STRTAB), 0)
    table = next(
        (at + strings - start for start, at, size in loads if start <= strings < start + size), 0
    )

    def texts(wanted: int) -> list[str]:
        return [_text(data, table + value) for tag, value in tags if tag == wanted]

    paths = texts(_DT_RUNPATH) or texts(_DT_RPATH)
    folders = tuple(folder for path in paths for folder in path.split(":"))
    return Binary(machine, tuple(texts(_DT_NEEDED)), loader, folders)


def _tags(data: mmap.mmap, at: int, length: int) -> list[tuple[int, int]]:
    tags: list[tuple[int, int]] = []
    for here in range(at, at + length, 16):
        tag, value = struct.unpack_from("<QQ", data, here)
        if tag == 0:
            break
        tags.append((tag, value))
    return tags


def _text(data: mmap.mmap, at: int) -> str:
    end = data.find(b"\0", at)
    if not 0 <= at < end:
        raise ValueError(f"a text begins at byte {at}, and does not end")
    return os.fsdecode(data[at:end])
