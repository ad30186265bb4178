"""Containers for tests: a root file system of one program, instances of it, and nothing is left behind."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.adapters import cgroups
from edge_agent.adapters.overlay import mounted, unmount
from edge_agent.adapters.runtime_oci import OciRuntime, group_of
from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.instance import ImageSettings, Instance, Root
from fairway.clock import SystemClock
from fairway.services.model import Service
from tests.shared_data import missing

BUSYBOX = "/bin/busybox"
UID = 731_001

# A shell that waits is woken by a signal at once, and costs nothing.
SLEEPS = "trap 'exit 0' TERM; sleep 1000 & wait"
IGNORES_TERM = "trap '' TERM; while :; do sleep 1; done"


def busybox_layer(folder: Path) -> Path:
    """Return a root file system of busybox alone, which must be linked statically."""
    program = shutil.which("busybox")
    if program is None:
        missing("busybox (static) is not installed: there is nothing to run in a container")
    assert program is not None
    layer = folder / "busybox"
    if not layer.exists():
        (layer / "bin").mkdir(parents=True)
        shutil.copy(program, layer / "bin" / "busybox")
        for name in (
            "sh",
            "sleep",
            "cat",
            "ls",
            "grep",
            "kill",
            "dd",
            "mount",
            "id",
            "touch",
            "echo",
        ):
            (layer / "bin" / name).symlink_to("busybox")
    return layer


def python_layers(folder: Path) -> tuple[Path, ...]:
    """Return the Python that runs this as layers of an image: /bin/python, with what it needs of the system."""
    prefix = Path(sys.base_prefix)
    python = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = folder / "libraries"
    if not libraries.exists():
        modules = (prefix / "lib" / python.name / "lib-dynload").glob("_*.so")
        listed = subprocess.run(
            ["ldd", python, *modules], capture_output=True, text=True, check=True
        ).stdout
        for found in set(re.findall(r"(/\S+\.so\S*)(?= \()", listed)):
            if not found.startswith(str(prefix)):
                (libraries / found[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, libraries / found[1:])
        (libraries / "bin").mkdir()
        (libraries / "bin" / "python").symlink_to(python.name)
    return prefix, libraries


PYTHON = ("/bin/python", "-S", "-P")


def need(program: str) -> str:
    """Return where a container program is, or end the test that needs it."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed: containers cannot be tried")
    if os.geteuid() != 0:
        missing("containers need a test run as root")
    assert path is not None
    return path


@dataclass
class Yard:
    """A folder in which instances live, and the layers that they are made of."""

    folder: Path
    layers: tuple[Path, ...]
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The control group of this test alone."""
        return group_of(self.folder, "").replace("/", "/fairway-test-")

    def instance(self, name: str, *argv: str, **service: Any) -> Instance:
        """Return an instance of a new service; one of the same name is another version of it."""
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        made = Service(name, f"1.0.{number}", command=argv, **service)
        id_ = f"{name}.{number:012x}"
        sockets = self.folder / "sockets" / id_
        sockets.mkdir(parents=True, exist_ok=True)
        uid = UID + list(self.numbers).index(name)
        os.chown(sockets, uid, uid)
        data = tuple(
            (self.folder / "data" / name / str(place), one) for place, one in enumerate(made.data)
        )
        root = Root(
            "sha256:" + "0" * 64, self.layers, ImageSettings((BUSYBOX,), (("PYTHONHOME", "/"),))
        )
        return Instance(id_, made, root, uid, sockets, data)

    def script(self, name: str, script: str, **service: Any) -> Instance:
        """Return an instance that runs a shell script."""
        return self.instance(name, BUSYBOX, "sh", "-c", script, **service)

    def logs(self) -> LogBook:
        """Return the logs of an agent."""
        return LogBook(self.folder / "logs", SystemClock())


@contextlib.asynccontextmanager
async def oci_yard(folder: Path) -> AsyncIterator[Yard]:
    """Yield a yard, and leave no container, control group or mount behind, whatever happens inside."""
    yard = Yard(folder, (busybox_layer(folder),))
    try:
        yield yard
    finally:
        groups = cgroups.look()
        await cgroups.remove(groups, yard.group)
        for point in mounted():
            if point.is_relative_to(folder):
                await unmount(point)


async def open_oci(yard: Yard, program: str) -> OciRuntime:
    """Return the runtime of an agent in a yard: each one finds what the others left."""
    need(program)
    return await OciRuntime.open(
        yard.folder / "oci", yard.logs(), program=program, group=yard.group
    )
