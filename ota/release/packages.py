"""Which packages an image holds, as its own databases say: Debian's, Alpine's and Python's.

    tar streams of its layers, the lowest first --found()--> packages, sorted

Rule 1: a later layer covers an earlier one, and a whiteout takes away, as in a vehicle.
Rule 2: this informs people; nothing decides by it: what it does not understand it leaves out.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from urllib.parse import quote

from fairway.oci import tar

# A database of packages; Debian's of a large system has some megabytes.
_DATABASE_MAX_BYTES = 32 << 20
_DPKG, _DPKG_PARTS = b"var/lib/dpkg/status", b"var/lib/dpkg/status.d/"
_APK = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
_PYTHON = (b".dist-info/METADATA", b".egg-info/PKG-INFO")
_RELEASE = (b"etc/os-release", b"usr/lib/os-release")
_WHITEOUT = b".wh."

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package in an image."""

    ecosystem: str  # deb, apk, pypi
    name: str
    version: str
    architecture: str = ""
    distribution: str = ""  # debian, alpine

    @property
    def purl(self) -> str:
        """Return its package URL."""
        space = f"{quote(self.distribution)}/" if self.distribution else ""
        arch = f"?arch={quote(self.architecture)}" if self.architecture else ""
        name = self.name.lower().replace("_", "-") if self.ecosystem == "pypi" else self.name
        return f"pkg:{self.ecosystem}/{space}{quote(name)}@{quote(self.version)}{arch}"


def found(layers: Iterable[Read]) -> tuple[Package, ...]:
    """Return the packages in an image, each once.  Raises BadInput for a tar that is none."""
    databases: dict[bytes, bytes] = {}
    for read in layers:
        reader = tar.Reader(read)
        for entry in reader:
            name = entry.name.removeprefix(b"./").lstrip(b"/")
            _uncover(databases, name)
            if entry.kind is tar.Kind.FILE and _is_wanted(name):
                if entry.size_bytes <= _DATABASE_MAX_BYTES:
                    databases[name] = reader.content(entry.size_bytes)
            else:
                databases.pop(name, None)
    distribution = _distribution(databases)
    packages: set[Package] = set()
    for name, data in databases.items():
        packages |= set(_packages(name, data, distribution))
    return tuple(sorted(packages))


def _uncover(databases: dict[bytes, bytes], name: bytes) -> None:
    folder, _, last = name.rpartition(b"/")
    if not last.startswith(_WHITEOUT):
        return
    gone = last.removeprefix(_WHITEOUT)
    front = folder + b"/" if folder else b""
    hidden = front if gone == b".wh..opq" else front + gone
    for one in list(databases):
        if one == hidden or one.startswith(hidden.rstrip(b"/") + b"/"):
            del databases[one]


def _is_wanted(name: bytes) -> bool:
    return (
        name in (_DPKG, *_APK, *_RELEASE) or name.startswith(_DPKG_PARTS) or name.endswith(_PYTHON)
    )


def _packages(name: bytes, data: bytes, distribution: str) -> Iterator[Package]:
    if name in _APK:
        yield from _apk(data, distribution)
    elif name == _DPKG or name.startswith(_DPKG_PARTS):
        yield from _dpkg(data, distribution)
    elif name.endswith(_PYTHON):
        said = BytesHeaderParser().parsebytes(data)
        if said["Name"] and said["Version"]:
            yield Package("pypi", str(said["Name"]), str(said["Version"]))


def _dpkg(data: bytes, distribution: str) -> Iterator[Package]:
    for paragraph in data.split(b"\n\n"):
        said = BytesHeaderParser().parsebytes(paragraph.lstrip(b"\n"))
        is_there = "Status" not in said or str(said["Status"]).split()[-1:] == ["installed"]
        if said["Package"] and said["Version"] and is_there:
            architecture = str(said["Architecture"] or "")
            name, version = str(said["Package"]), str(said["Version"])
            yield Package("deb", name, version, architecture, distribution or "debian")


def _apk(data: bytes, distribution: str) -> Iterator[Package]:
    for paragraph in data.decode(errors="replace").split("\n\n"):
        lines = (line.partition(":") for line in paragraph.splitlines())
        said = {key: value for key, _, value in lines if key in {"P", "V", "A"}}
        if "P" in said and "V" in said:
            place = distribution or "alpine"
            yield Package("apk", said["P"], said["V"], said.get("A", ""), place)


def _distribution(databases: dict[bytes, bytes]) -> str:
    for name in _RELEASE:
        for line in databases.get(name, b"").decode(errors="replace").splitlines():
            if line.startswith("ID="):
                return line.removeprefix("ID=").strip("\"' ")
    return ""
