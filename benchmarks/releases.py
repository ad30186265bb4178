"""Releases: how small differences are, what applying them takes, and how 100,000 images are signed.

sample     two versions of our own sample service, built as images whose layers are not packed
system     a root file system as a tar (files of this machine's Python), with a hundred files changed
peers      the image packed with zstd; bsdiff where it is installed; chunks of 64 KiB cut by content, as
           casync does it
bins       100,000 images in 256 hash bins: listing and signing; the peer is one file of all of them
"""

import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import zstandard
from tuf.api.metadata import Metadata, SuccinctRoles, TargetFile, Targets

from benchmarks.report import Row
from fairway.oci.model import Compression
from ota.custom import image_to_target
from ota.delta.create import Made, Pair, made, pack
from ota.images import members
from ota.images.layer import write_layer
from ota.manifest import Form, Image, Kind
from ota.release.folder import metadata_from
from ota.release.keys import made as made_key
from ota.release.keys import opened

IMAGES = 100_000
BINS_BITS = 8
CHUNK_MEAN_BYTES = 64 << 10
MIB = 1 << 20
PART_BYTES = 8 * MIB
_ADDED = "\n\ndef of_version_2(level: float) -> bool:\n    return level < 0.25\n"


def run() -> list[Row]:
    """Measure all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        rows: list[Row] = []
        system = _system(path)
        pairs = {
            "sample image": _sample(path),
            "system tar": system,
            "part of it": _part(system, path),
        }
        for name, pair in pairs.items():
            rows += _differences(name, pair, path)
        return rows + _bins(path)


def _sample(path: Path) -> Pair:
    """Two versions of a sample service: its own layer changed, Python below it the same."""
    import edge_agent.samples  # noqa: PLC0415

    source = Path(str(edge_agent.samples.__file__)).parent
    images: list[Path] = []
    for version in ("1", "2"):
        app = path / f"app{version}"
        shutil.copytree(
            source, app / "edge_agent" / "samples", ignore=shutil.ignore_patterns("__pycache__")
        )
        if version == "2":
            for file in sorted(app.rglob("*.py"))[::2]:
                file.write_text(file.read_text() + _ADDED)
        output = path / f"sample{version}.tar"
        program = "import sys; from simulators.demo.cli import main; sys.exit(main())"
        words = ["image", "build", "--python", "--layer", f"{app}:/app", "--compress", "none"]
        words += ["--entrypoint", "python3 -m edge_agent.samples", "--output", str(output)]
        command = [sys.executable, "-c", program, *words]
        subprocess.run(command, check=True, capture_output=True)
        images.append(output)
    return Pair(images[0], images[1])


def _system(path: Path) -> Pair:
    """A root file system of some 100 MB, as a tar; the second with a hundred files changed."""
    root = path / "root"
    standard = Path(random.__file__).parent
    shutil.copytree(standard, root / "usr" / "lib" / "python", ignore=_left_out, symlinks=True)
    chance = random.Random(11)
    old = _tar(root, path / "system1.tar")
    files = sorted(one for one in root.rglob("*") if one.is_file() and not one.is_symlink())
    for file in chance.sample(files, 100):
        data = bytearray(file.read_bytes())
        at = chance.randrange(len(data) + 1)
        file.write_bytes(data[:at] + chance.randbytes(64) + data[at:])
    return Pair(old, _tar(root, path / "system2.tar"))


def _part(pair: Pair, path: Path) -> Pair:
    """As much of both as an ECU's flash holds; bsdiff takes minutes for the whole."""
    for name, whole in (("part1", pair.base), ("part2", pair.image)):
        with whole.open("rb") as file:
            (path / name).write_bytes(file.read(PART_BYTES))
    return Pair(path / "part1", path / "part2")


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {one for one in names if one in {"site-packages", "test", "__pycache__"}}


def _tar(root: Path, to: Path) -> Path:
    blobs = to.parent / "blobs"
    blobs.mkdir(exist_ok=True)
    listed = members.members(members.Folder(root), epoch_s=0)
    layer = write_layer(listed, Compression.NONE, blobs)
    return (blobs / layer.blob.digest.removeprefix("sha256:")).rename(to)


def _differences(name: str, pair: Pair, path: Path) -> list[Row]:
    work = path / f"work-{name.split(maxsplit=1)[0]}"
    work.mkdir()
    pack(pair.image, work / "full")
    full = (work / "full").stat().st_size
    plain = pair.image.stat().st_size
    found, _left = made(pair, work, lambda _what: None)
    chunks = _chunked(pair)
    others = f"zstd {full / MIB:.2f} MB, chunks {chunks / MIB:.2f} MB" + _bsdiff(pair, work)
    rows = [
        Row(
            f"{name} ({plain / MIB:.0f} MB plain): {one.form}",
            f"{one.length:,} bytes, {one.took.memory_bytes / MIB:.0f} MB, {one.took.cpu_s:.2f} s",
            others,
            one.length / full,
            "<= 0.1",
            "of zstd",
        )
        for one in found
    ]
    lightest = [one for one in found if one.form is Form.DETOOLS_SEQUENTIAL]
    return rows + [_memory(name, one) for one in lightest]


def _memory(name: str, one: Made) -> Row:
    took = one.took.memory_bytes / MIB
    return Row(f"{name}: memory to apply {one.form}", f"{took:.0f} MB", "-", took, "<= 40", "MB")


def _bsdiff(pair: Pair, work: Path) -> str:
    program = shutil.which("bsdiff")
    if program is None or pair.image.stat().st_size > 4 * PART_BYTES:
        return ""
    subprocess.run([program, pair.base, pair.image, work / "bsdiff"], check=True)
    return f", bsdiff {(work / 'bsdiff').stat().st_size:,} bytes"


def _chunked(pair: Pair) -> int:
    """Bytes of new chunks, packed, when images are cut by content into pieces of 64 KiB on average."""
    packer = zstandard.ZstdCompressor(level=9)
    there = {hashlib.sha256(one).digest() for one in _pieces(pair.base.read_bytes())}
    new: dict[bytes, int] = {}
    for piece in _pieces(pair.image.read_bytes()):
        digest = hashlib.sha256(piece).digest()
        if digest not in there and digest not in new:
            new[digest] = len(packer.compress(piece))
    return sum(new.values())


def _pieces(data: bytes) -> list[bytes]:
    """Cut where a hash of 48 bytes ends in zeros: the same content is cut alike wherever it lies."""
    import numpy as np  # noqa: PLC0415

    values = np.frombuffer(data, np.uint8).astype(np.uint32)
    table = np.random.default_rng(1).integers(0, 1 << 32, 256, dtype=np.uint64).astype(np.uint32)
    mixed = table[values]
    sums = np.cumsum(mixed, dtype=np.uint32)
    window = sums[48:] - sums[:-48]
    window = (window * np.uint32(2654435761)) >> np.uint32(16)
    cuts = np.flatnonzero(window % np.uint32(CHUNK_MEAN_BYTES) == 0) + 48
    pieces: list[bytes] = []
    start = 0
    for cut in [*cuts.tolist(), len(data)]:
        while cut - start > 4 * CHUNK_MEAN_BYTES:
            pieces.append(data[start : start + 4 * CHUNK_MEAN_BYTES])
            start += 4 * CHUNK_MEAN_BYTES
        if cut - start >= CHUNK_MEAN_BYTES // 4 or cut == len(data):
            pieces.append(data[start:cut])
            start = cut
    return [one for one in pieces if one]


@dataclass(frozen=True)
class _Timed:
    sign_s: float
    verify_ms: float
    bytes: int


def _bins(path: Path) -> list[Row]:
    key = made_key(str(path / "key.pem"))
    second = made_key(str(path / "second.pem"))
    succinct = SuccinctRoles([key.keyid], 1, BINS_BITS, "releases-bin")
    whole, bins = Targets(), {name: Targets() for name in succinct.get_roles()}
    image = Image("", 10_000, "0" * 64, Kind.FIRMWARE, "brake", "1", 1, ("brake-7",))
    started = time.perf_counter()
    for number in range(IMAGES):
        each = replace(image, path=f"ecu-{number}/1.0.{number}.bin", sha256=f"{number:064x}")
        target = TargetFile.from_dict(image_to_target(each), each.path)
        whole.targets[each.path] = target
        bins[succinct.get_role_for_target(each.path)].targets[each.path] = target
    listed_s = time.perf_counter() - started
    signers = (opened(str(path / "key.pem")), opened(str(path / "second.pem")))
    assert signers[1].keyid == second.keyid
    ours = _timed([Metadata(one) for one in bins.values()], signers)
    one_file = _timed([Metadata(whole)], signers)
    return [
        Row(
            f"{IMAGES:,} images in 256 bins: what a vehicle reads and verifies for one of them",
            f"{ours.bytes / 1000:.0f} kB, {ours.verify_ms:.1f} ms",
            f"one file: {one_file.bytes / 1e6:.0f} MB, {one_file.verify_ms:.0f} ms",
            one_file.verify_ms / ours.verify_ms,
            ">= 50",
        ),
        Row(
            f"{IMAGES:,} images: listed in {listed_s:.1f} s, all 256 bins signed by two keys",
            f"{ours.sign_s:.1f} s",
            f"one file {one_file.sign_s:.1f} s",
            ours.sign_s,
            "<= 60",
            "s",
        ),
    ]


def _timed(files: list[Metadata[Targets]], signers: tuple[object, ...]) -> _Timed:
    started = time.perf_counter()
    for metadata in files:
        for signer in signers:
            metadata.sign(signer, append=True)  # type: ignore[arg-type] # keys of ours
    sign_s = time.perf_counter() - started
    data = files[0].to_bytes()
    started = time.perf_counter()
    rounds = 10 if len(data) < 1_000_000 else 1
    for _ in range(rounds):
        read = metadata_from(data, "targets.json")
        payload = read.signed_bytes
        for signer in signers:
            key = signer.public_key  # type: ignore[attr-defined]
            key.verify_signature(read.signatures[key.keyid], payload)
    return _Timed(sign_s, (time.perf_counter() - started) * 1000 / rounds, len(data))
