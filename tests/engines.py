"""A container engine of its own for a test: podman's service on a socket, and nothing of it is left behind."""

import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

from edge_agent.adapters.runtime_engine import EngineRuntime
from edge_agent.services.instance import ImageSettings, Instance, Root
from edge_agent.services.seccomp_profile import profile
from fairway.errors import BadInput
from fairway.services.model import Service
from tests.runtime_yard import RuntimeYard
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


def busybox_archive(to: Path, name: str) -> None:
    """Write an image of busybox alone as `docker save` does."""
    program = shutil.which("busybox")
    if program is None:
        missing("busybox (static) is not installed: there is nothing to run in a container")
    assert program is not None
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for applet in (
            "sh",
            "sleep",
            "cat",
            "ls",
            "id",
            "grep",
            "touch",
            "ip",
            "seq",
            "yes",
            "head",
        ):
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


class PodmanService:
    """Podman's service on a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "podman.sock"
        (folder / "containers.conf").write_text(_CONF)
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        self._command = [
            "podman"
        ]  # no folder of it is another's, its locks and events are not, either
        for name in ("root", "runroot", "tmpdir"):
            self._command += [f"--{name}", str(folder / name)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "podman.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "system", "service", "--time", "0", f"unix://{self.socket}"],
                cwd=self.folder,  # conmon leaves a file there when memory ends a container
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + WAIT_S
        while not self.socket.exists():
            assert self._process.poll() is None, (self.folder / "podman.log").read_text()
            assert time.monotonic() < deadline, "podman's service did not come"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as the kernel would; its containers run on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_S)
            self._process = None

    def clean(self) -> None:
        """End it and its containers, and leave nothing of them."""
        subprocess.run(
            [*self._command, "rm", "--all", "--force", "--time", "0"],
            env=self._environment,
            check=False,
            capture_output=True,
            timeout=WAIT_S,
        )
        self.kill()
        for pid in _processes_of(self.folder):  # monitors of commands wait for minutes
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for mount in reversed(_mounts_below(self.folder)):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def podman() -> Iterator[PodmanService]:
    """Give podman's service; it and its containers are gone afterwards."""
    for program in ("podman", "runc", "conmon"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed: a container engine cannot be tried")
    if os.geteuid() != 0:
        missing("containers need a test run as root")
    # Short: paths of sockets have 107 bytes.
    service = PodmanService(Path(tempfile.mkdtemp(prefix="engine-")))
    try:
        service.start()
        yield service
    finally:
        service.clean()


def _processes_of(folder: Path) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if place.name.isdigit() and f"{folder}/".encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return [pid for pid in found if pid != os.getpid()]


def _mounts_below(folder: Path) -> list[str]:
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]


class EngineYard(RuntimeYard):
    """A place for containers of an engine."""

    def __init__(self, folder: Path, socket: Path, name: str) -> None:
        super().__init__(folder)
        self.socket, self.name = socket, name
        self.archives = BusyboxArchives()

    async def opened(self) -> EngineRuntime:
        return await EngineRuntime.open(
            self.socket,
            agent=self.name,
            seccomp=profile(platform.machine()),
            archives=self.archives,
            outputs=self.logs,
            folder=self.folder / "engine",
        )

    async def opened_engine(self) -> EngineRuntime:
        """Return the runtime of the next agent."""
        runtime = await self.agent()
        assert isinstance(runtime, EngineRuntime)
        return runtime

    def script(self, name: str, script: str, **service: object) -> Instance:
        made = replace(
            Service(name, "1.0.0", image=DIGEST, command=(BUSYBOX, "sh", "-c", script)),
            **service,  # type: ignore[arg-type]
        )
        id_, sockets = self.numbered(name, made)
        uid = UID + list(self.numbers).index(name)
        os.chown(sockets, uid, uid)
        data = tuple((self.folder / "data" / name, one) for one in made.data)
        return Instance(id_, made, Root(DIGEST, (), ImageSettings()), uid, sockets, data)


class Podman:
    """Podman's service for many tests, started for the first one that needs it."""

    def __init__(self) -> None:
        self._running = contextlib.ExitStack()
        self.service: PodmanService | None = None
        self._yards = 0

    def close(self) -> None:
        """End it, with all that runs in it."""
        self._running.close()
        self.service = None

    @contextlib.asynccontextmanager
    async def yard(self) -> AsyncIterator[EngineYard]:
        """Give a yard of an agent of its own, and leave nothing of it."""
        if self.service is None:
            self.service = self._running.enter_context(podman())
        self._yards += 1
        agent = f"car-{self._yards}"
        folder = self.service.folder / agent
        folder.mkdir()
        yard = EngineYard(folder, self.service.socket, agent)
        try:
            yield yard
        finally:
            await yard.clean()
