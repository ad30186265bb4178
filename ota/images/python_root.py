"""A small root file system with the Python that runs this: no registry, no package manager.

    interpreter, standard library, shared libraries > the lower layer
    installed packages, and what libraries they need beside > a layer of their own

Rule 1: only what is needed to run: no tests, no tools, no headers, no certificates, no shell.
Rule 2: modules are compiled into the image: its root is read only, so they would be compiled at every start.
"""

import importlib.metadata
import importlib.util
import marshal
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path

from fairway.errors import BadInput
from fairway.oci import entries
from ota.images import elf, members
from ota.images.members import Member

PREFIX = "usr"
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"{PREFIX}/lib/{_VERSION}"
PACKAGES = f"{LIBRARY}/site-packages"
PROGRAM = f"/{PREFIX}/bin/{_VERSION}"
ENVIRONMENT = (
    ("PATH", f"/{PREFIX}/bin"),
    ("LANG", "C.UTF-8"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONUNBUFFERED", "1"),
)

# Parts of the standard library that no service needs; tests are most of its bytes.
_LEFT_OUT = frozenset(
    {
        "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages",
        "test", "tests", "tkinter", "turtle.py", "turtledemo", "venv",
    }
)  # fmt: skip
_LEFT_OUT_STARTS = ("config-", "_tkinter", "_test", "_ctypes_test", "_xxtestfuzz", "xxlimited")
_OF_PACKAGES = frozenset({"__pycache__", "test", "tests"})
_OF_COMPILERS = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# Loaded by name when a thread ends, so that no ELF file says that it is needed.
_BY_NAME = ("libgcc_s.so.1",)
# Where mounts go: on a read-only root they cannot be made.
_MOUNT_POINTS = ("dev", "proc", "sys", "run", "run/ecu", "data", "var", "var/lib")


def python(*, epoch_s: int) -> list[Member]:
    """Return the members of the lower layer.  Raises BadInput when libraries are missing here."""
    interpreter = (Path(sys.base_prefix) / "bin" / _VERSION).resolve()
    if not interpreter.is_file():
        raise BadInput(f"the interpreter {interpreter} is not there")
    found = [
        members.file(PROGRAM[1:], interpreter, mode=0o755, epoch_s=epoch_s),
        members.link(f"{PREFIX}/bin/python3", _VERSION, epoch_s=epoch_s),
        members.link(f"{PREFIX}/bin/python", _VERSION, epoch_s=epoch_s),
        members.folder(PACKAGES, epoch_s=epoch_s),
        members.folder("tmp", mode=0o1777, epoch_s=epoch_s),
        *(members.folder(name, epoch_s=epoch_s) for name in _MOUNT_POINTS),
        members.file("etc/passwd", b"root:x:0:0:root:/:/sbin/nologin\n", epoch_s=epoch_s),
        members.file("etc/group", b"root:x:0:\n", epoch_s=epoch_s),
    ]
    modules = dict(_standard_library())
    extensions = [path for path in modules.values() if path.suffix == ".so"]
    needed = elf.closure([interpreter, *extensions])
    by_name = (elf.named(name, interpreter) for name in _BY_NAME)
    found += _libraries(
        needed, {path.name: path for path in by_name if path}, interpreter, epoch_s=epoch_s
    )
    lacking = {path for path in needed.missing.values() if path in extensions}
    found += _modules(
        {name: path for name, path in modules.items() if path not in lacking}, epoch_s=epoch_s
    )
    if set(needed.missing.values()) - lacking:
        raise BadInput(
            f"this machine lacks libraries of Python itself: {', '.join(needed.missing)}"
        )
    return members.ordered(found)


def packages(names: Iterable[str], *, epoch_s: int) -> list[Member]:
    """Return the members of a layer with installed packages and all that they require.

    Raises BadInput when one is not installed here, or not from a wheel.
    """
    files: dict[str, Path] = {}
    for distribution in _required(names):
        files |= _files(distribution)
    interpreter = (Path(sys.base_prefix) / "bin" / _VERSION).resolve()
    programs = [path for path in files.values() if ".so" in path.suffixes and elf.is_elf(path)]
    needed = elf.closure(programs, own={path.parent for path in programs})
    if needed.missing:
        name, by = min(needed.missing.items())
        raise BadInput(f"{by.name} needs {name}, which this machine has not")
    there = elf.closure(
        [interpreter, *(path for _, path in _standard_library() if path.suffix == ".so")]
    )
    for name in (*there.libraries, *_BY_NAME):
        needed.libraries.pop(name, None)
    found = _modules({f"{PACKAGES}/{name}": path for name, path in files.items()}, epoch_s=epoch_s)
    return members.ordered([*found, *_libraries(needed, {}, interpreter, epoch_s=epoch_s)])


def compiled(listed: Iterable[Member], *, epoch_s: int) -> list[Member]:
    """Return members and, beside each Python source among them, what it compiles to."""
    found = list(listed)
    for member in list(found):
        if isinstance(member.content, Path) and member.content.suffix == ".py":
            found += _cached(os.fsdecode(member.entry.name), member.content, epoch_s=epoch_s)
    return members.ordered(found)


def _standard_library() -> Iterator[tuple[str, Path]]:
    """Yield the files of the standard library by their names in the image."""
    places = dict.fromkeys(Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib"))
    for library in places:
        for folder, folders, files in os.walk(library):
            folders[:] = [name for name in folders if not _is_left_out(name)]
            for name in files:
                path = Path(folder) / name
                if not _is_left_out(name) and path.suffix in {".py", ".so", ".txt"}:
                    yield f"{LIBRARY}/{path.relative_to(library).as_posix()}", path


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.startswith(_LEFT_OUT_STARTS)


def _libraries(
    needed: elf.Closure, more: dict[str, Path], interpreter: Path, *, epoch_s: int
) -> list[Member]:
    """Return libraries in the folder where the loader looks by itself: that of the C library."""
    libc = next(
        (elf.named(name, interpreter) for name in elf.binary(interpreter).needs if "libc." in name),
        None,
    )
    folder = str(libc.parent)[1:] if libc else f"{PREFIX}/lib"
    found = [
        members.file(f"{folder}/{name}", path.resolve(), mode=0o755, epoch_s=epoch_s)
        for name, path in sorted({**more, **needed.libraries}.items())
    ]
    return found + [
        members.file(name[1:], path.resolve(), mode=0o755, epoch_s=epoch_s)
        for name, path in sorted(needed.loaders.items())
    ]


def _modules(files: dict[str, Path], *, epoch_s: int) -> list[Member]:
    """Return files, and beside each Python source what it compiles to."""
    found = []
    for name, path in sorted(files.items()):
        mode = 0o755 if path.suffix == ".so" else 0o644
        found.append(members.file(name, path, mode=mode, epoch_s=epoch_s))
        if path.suffix == ".py":
            found += _cached(name, path, epoch_s=epoch_s)
    return found


def _cached(name: str, path: Path, *, epoch_s: int) -> list[Member]:
    code = _compiled(name, path)
    # Beside its source, wherever this Python keeps its own (PYTHONPYCACHEPREFIX).
    folder, slash, module = name.rpartition("/")
    cached = f"{folder}{slash}__pycache__/{module.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    return [members.file(cached, code, epoch_s=epoch_s)] if code else []


def _compiled(name: str, path: Path) -> bytes:
    """Return the bytes of a .pyc file, b"" for what does not compile: some sources are only examples.

    It is not checked against the source (PEP 552, unchecked), which is in the same layer and read only.
    """
    source = path.read_bytes()
    try:
        code = compile(source, f"/{name}", "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return b""
    head = (
        importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    )
    # Version 2 has no references, which depend on what else the process has loaded.
    return head + marshal.dumps(code, 2)


def _required(names: Iterable[str]) -> list[Distribution]:
    """Return distributions and those that they require, as far as they are installed."""
    waiting, found = list(names), dict[str, Distribution]()
    asked = {_plain(name) for name in waiting}
    while waiting:
        name = waiting.pop()
        if _plain(name) in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except (importlib.metadata.PackageNotFoundError, ValueError) as error:
            if _plain(name) in asked:
                raise BadInput(f"the package {name!r} is not installed here") from error
            continue  # required elsewhere: on another system, or for another Python
        found[_plain(name)] = distribution
        for line in distribution.requires or ():
            requirement, _, marker = line.partition(";")
            word = _NAME.match(requirement)
            if word and "extra" not in marker:
                waiting.append(word[0])
    return [found[name] for name in sorted(found)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(distribution: Distribution) -> dict[str, Path]:
    """Return the files of a package by their names in site-packages, without its programs and tests."""
    found: dict[str, Path] = {}
    for file in distribution.files or ():
        parts = file.parts
        if ".." in parts or _OF_PACKAGES.intersection(parts) or file.suffix in _OF_COMPILERS:
            continue
        path = Path(str(distribution.locate_file(file)))
        if path.is_file():
            entries.place_of(os.fsencode(file.as_posix()))
            found[file.as_posix()] = path
    # What pip or uv write when they install says where and when: not of the package.
    for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"):
        found = {key: path for key, path in found.items() if not key.endswith(f".dist-info/{name}")}
    # Without a list of what was installed it is a folder of sources that was built from.
    is_built_in_place = distribution.read_text("RECORD") is None
    is_built_in_place |= '"editable"' in (distribution.read_text("direct_url.json") or "")
    if is_built_in_place or not any(".dist-info" not in name for name in found):
        raise BadInput(
            f"the package {distribution.name!r} is not installed from a wheel: its files are elsewhere"
        )
    return found
