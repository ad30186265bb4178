"""A container engine of its own for a test: podman's service on a socket, and nothing of it is left behind."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent.services.instance import ImageSettings, Instance, Root
from fairway.errors import BadInput
from fairway.services.model import Service
from tests.shared_data import missing

BUSYBOX = "/bin/busybox"
DIGEST = "sha256:" + "b" * 64
UID = 741_001
WAIT_S = 60.0

# Without the capability to raise limits the defaults fail; the others are what a machine without systemd has.
_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096","nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# A short list that only this test needs: most calls pass, a few fail with EPERM.
SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["mount", "umount2", "unshare", "ptrace", "keyctl", "setns"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 1,
        }
    ],
}


def busybox_archive(to: Path, name: str) -> None:
    """Write an image of busybox alone as `docker save` does."""
    program = shutil.which("busybox")
    if program is None:
        missing("busybox (static) is not installed: there is nothing to run in a container")
    assert program is not None
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for applet in ("sh", "sleep", "cat", "ls", "id"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    diff_id = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    listed = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{diff_id}.tar"]}]
    with tarfile.open(to, "w") as tar:
        for path, data in (
            ("manifest.json", json.dumps(listed).encode()),
            (config_name, config),
            (f"{diff_id}.tar", layer.getvalue()),
        ):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


class BusyboxArchives:
    """The images of a vehicle that has one."""

    def __init__(self) -> None:
        self.written = 0

    async def docker_archive(self, digest: str, to: Path, *, name: str = "") -> None:
        if digest != DIGEST:
            raise BadInput(f"the image {digest[:20]} is not here")
        self.written += 1
        busybox_archive(to, name)


@contextlib.contextmanager
def podman() -> Iterator[Path]:
    """Give the socket of podman's service; it and its containers are gone afterwards."""
    for program in ("podman", "runc", "conmon"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed: a container engine cannot be tried")
    if os.geteuid() != 0:
        missing("containers need a test run as root")
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # short: paths of sockets have 107 bytes
    (folder / "containers.conf").write_text(_CONF)
    environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    command = ["podman", "--root", str(folder / "r"), "--runroot", str(folder / "rr")]
    socket = folder / "podman.sock"
    with (folder / "podman.log").open("wb") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time", "0", f"unix://{socket}"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + WAIT_S
        while not socket.exists():
            assert service.poll() is None, (folder / "podman.log").read_text()
            assert time.monotonic() < deadline, "podman's service did not come"
            time.sleep(0.05)
        yield socket
    finally:
        subprocess.run(
            [*command, "rm", "--all", "--force", "--time", "0"],
            env=environment,
            check=False,
            capture_output=True,
            timeout=WAIT_S,
        )
        service.terminate()
        service.wait(WAIT_S)
        for mount in reversed(_mounts_below(folder)):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _mounts_below(folder: Path) -> list[str]:
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]


class Yard:
    """Instances that run in an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers: dict[str, int] = {}

    def script(self, name: str, script: str, **service: object) -> Instance:
        """Return an instance of a new service that runs a script; one of the same name is another version."""
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        made = Service(
            name,
            f"1.0.{number}",
            **{"command": (BUSYBOX, "sh", "-c", script), **service},  # type: ignore[arg-type]
        )
        id_ = f"{name}.{number:012x}"
        uid = UID + list(self._numbers).index(name)
        sockets = self.folder / "sockets" / id_
        sockets.mkdir(parents=True, exist_ok=True)
        os.chown(sockets, uid, uid)
        data = tuple(
            (self.folder / "data" / name / str(place), one) for place, one in enumerate(made.data)
        )
        return Instance(id_, made, Root(DIGEST, (), ImageSettings()), uid, sockets, data)
