"""Images as other tools read and write them, and as a container runs them."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.adapters import overlay
from edge_agent.adapters.images import ImageStore
from tests.e2e.programs import BIN
from tests.overlays import all_unmounted, needs_mounts
from tests.shared_data import missing

pytestmark = pytest.mark.slow

APP = """
import asyncio, ctypes, hashlib, json, os, sqlite3, ssl, sys, threading
import grpc
from google.protobuf import struct_pb2

def tried(write):
    try:
        write()
    except OSError as error:
        return error.strerror
    return "written"

finished = threading.Thread(target=print, args=("a thread ran",), kwargs={"flush": True})
finished.start()
finished.join()
print(json.dumps({
    "uid": os.getuid(),
    "root": tried(lambda: open("/new", "w")),
    "library": tried(lambda: open(grpc.__file__, "a")),
    "grpc": grpc.__version__,
    "cached": [name for name in ("json", "grpc") if not os.path.exists(sys.modules[name].__cached__)],
}))
"""


def needed(program: str) -> None:
    if shutil.which(program) is None:
        missing(f"{program} is not installed")


def run(*argv: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fairway(*arguments: str | Path) -> str:
    return run(BIN / "fairway", *arguments)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of three layers, as a layout: a shell, data, and files that are hard to get right."""
    needs_mounts()
    needed("busybox")
    base = tmp_path_factory.mktemp("built")
    (base / "root/bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", base / "root/bin/busybox")
    (base / "root/bin/sh").symlink_to("busybox")
    (base / "data/deep" / ("d" * 120)).mkdir(parents=True)
    (base / "data/deep" / ("d" * 120) / "grüße").write_text("hello")
    fairway(
        "image", "build", "--rootfs", base / "root", "--layer", f"{base}/data:/srv",
        "--entrypoint", "/bin/sh -c 'cat /srv/deep/*/*'",
        "--name", "localhost/shell:1", "--user", "7", "--output", base / "out",
    )  # fmt: skip
    return base / "out"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    needs_mounts()
    with all_unmounted(tmp_path):
        made = ImageStore(tmp_path / "store")
        yield made
        made.close()


def files(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): path.readlink()
        if path.is_symlink()
        else path.is_file() and path.read_bytes()
        for path in root.rglob("*")
    }


async def shown(store: ImageStore, digest: str, at: Path) -> dict[str, object]:
    await overlay.mount_root(await store.root(digest), at)
    return files(at)


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_skopeo_reads_what_we_write(built: Path, tmp_path: Path, form: str):
    needed("skopeo")
    fairway(
        "image",
        "build",
        "--base",
        built,
        "--output",
        tmp_path / "copy.tar",
        "--name",
        "localhost/shell:1",
    )
    place = built if form == "oci" else tmp_path / "copy.tar"

    run("skopeo", "copy", "-q", f"{form}:{place}:localhost/shell:1", f"dir:{tmp_path}/seen")

    seen = json.loads((tmp_path / "seen/manifest.json").read_text())
    told = json.loads(fairway("image", "inspect", built, "--json"))
    assert [layer["digest"] for layer in seen["layers"]] == [
        layer["digest"] for layer in told[0]["layers"]
    ]


@pytest.mark.parametrize("how", ["gzip", "zstd", "zstd:chunked"])
async def test_what_skopeo_packs_is_taken_in(
    built: Path, tmp_path: Path, store: ImageStore, how: str
):
    needed("skopeo")
    plain, theirs = tmp_path / "plain", tmp_path / "theirs"
    fairway(
        "image",
        "build",
        "--base",
        built,
        "--layer",
        tmp_path,
        "--compress",
        "none",
        "--output",
        plain,
    )
    other = ImageStore(tmp_path / "other")  # it has none of these layers, so it unpacks theirs
    (ours,) = await store.take(plain)
    await store.docker_archive(ours, tmp_path / "plain.tar")

    run(
        "skopeo", "copy", "-q", "--dest-compress-format", how, "--dest-compress",
        f"docker-archive:{tmp_path}/plain.tar", f"oci:{theirs}:t:1",
    )  # fmt: skip

    (taken,) = await other.take(theirs)
    other.close()
    seen = json.loads(fairway("image", "inspect", theirs, "--json"))
    assert {layer["media_type"].partition("+")[2] for layer in seen[0]["layers"]} == {
        how.partition(":")[0]
    }
    assert await shown(other, taken, tmp_path / "b") == await shown(store, ours, tmp_path / "a")


async def test_an_archive_that_skopeo_writes_for_docker_is_taken_in(
    built: Path, tmp_path: Path, store: ImageStore
):
    needed("skopeo")
    (ours,) = await store.take(built)
    await store.docker_archive(ours, tmp_path / "ours.tar")

    run(
        "skopeo",
        "copy",
        "-q",
        f"docker-archive:{tmp_path}/ours.tar",
        f"docker-archive:{tmp_path}/theirs.tar:t:1",
    )

    (theirs,) = await store.take(tmp_path / "theirs.tar")
    assert (await store.root(theirs)).settings == (await store.root(ours)).settings
    assert (await store.root(theirs)).layers == (await store.root(ours)).layers


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
async def test_podman_loads_and_runs_what_we_write(
    built: Path, tmp_path: Path, store: ImageStore, form: str
):
    needed("podman")
    needed("runc")
    (digest,) = await store.take(built)
    archive = tmp_path / "image.tar"
    if form == "docker-archive":
        await store.docker_archive(digest, archive, name="localhost/shell:1")
    else:
        fairway(
            "image", "build", "--base", built, "--output", archive, "--name", "localhost/shell:1"
        )
    settings = tmp_path / "containers.conf"
    settings.write_text(
        '[containers]\ndefault_ulimits = ["nofile=4096:4096","nproc=4096:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    # Podman's own paths must be short.
    with tempfile.TemporaryDirectory(prefix="fw-") as short:
        podman: list[str | Path] = ["podman", "--root", f"{short}/r", "--runroot", f"{short}/rr"]
        podman += ["--tmpdir", f"{short}/t", "--storage-driver", "vfs"]
        shell = ["run", "--rm", "--network", "none", "--read-only", "localhost/shell:1"]
        environ = {"CONTAINERS_CONF": str(settings)}
        loaded = await asyncio.to_thread(run, *podman, "load", "-q", "-i", archive, **environ)
        said = await asyncio.to_thread(run, *podman, *shell, **environ)

    assert "localhost/shell:1" in loaded
    assert said == "hello"


async def test_python_and_packages_run_in_a_container_whose_root_is_read_only(
    tmp_path: Path, store: ImageStore
):
    needed("runc")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text(APP)
    arguments = [
        "image", "build", "--python", "--package", "grpcio", "--package", "protobuf",
        "--layer", f"{tmp_path}/app:/app",
        "--entrypoint", "python3 /app/main.py", "--compress", "none", "--json",
    ]  # fmt: skip
    first = json.loads(await asyncio.to_thread(fairway, *arguments, "--output", tmp_path / "out"))
    again = json.loads(await asyncio.to_thread(fairway, *arguments, "--output", tmp_path / "again"))
    assert first == again  # the compiled modules, too

    (digest,) = await store.take(tmp_path / "out")
    root = await store.root(digest)
    bundle = tmp_path / "bundle"
    await overlay.mount_root(root, bundle / "rootfs")
    (bundle / "config.json").write_text(
        json.dumps(spec(root.settings.argv, root.settings.environment))
    )
    name = f"fairway-test-{os.getpid()}"
    try:
        said = await asyncio.to_thread(
            run, "runc", "--root", tmp_path / "runc", "run", "-b", bundle, name
        )
    finally:
        subprocess.run(
            ["runc", "--root", tmp_path / "runc", "delete", "-f", name],
            check=False,
            capture_output=True,
        )

    first_line, told = said.splitlines()
    assert first_line == "a thread ran"
    assert json.loads(told) == {
        "uid": 10_001,
        "root": "Read-only file system",
        "library": "Read-only file system",
        "grpc": __import__("grpc").__version__,
        "cached": [],
    }


def spec(argv: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> dict[str, object]:
    locked = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": True},
        "process": {
            "user": {"uid": 10_001, "gid": 10_001},
            "cwd": "/",
            "args": list(argv),
            "env": [f"{name}={value}" for name, value in environment],
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": locked},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": locked},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        },
    }
