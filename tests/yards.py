"""Instances for tests, in a folder of their own: nothing here needs pytest, so that programs may use it."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.adapters.runtime_oci import OciRuntime, group_of
from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.instance import ImageSettings, Instance, Root
from fairway.clock import SystemClock
from fairway.services.model import Service

BUSYBOX = "/bin/busybox"
UID = 731_001

# A shell that waits is woken by a signal at once, and costs nothing.
SLEEPS = "trap 'exit 0' TERM; sleep 1000 & wait"
IGNORES_TERM = "trap '' TERM; while :; do sleep 1; done"


def busybox_layer(folder: Path) -> Path:
    """Return a root file system of busybox alone, which must be linked statically."""
    layer = folder / "busybox"
    if not layer.exists():
        program = shutil.which("busybox")
        assert program is not None, "busybox is not installed"
        (layer / "bin").mkdir(parents=True)
        shutil.copy(program, layer / "bin" / "busybox")
    return layer


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


async def open_oci(yard: Yard, program: str) -> OciRuntime:
    """Return the runtime of an agent in a yard: each one finds what the others left."""
    return await OciRuntime.open(
        yard.folder / "oci", yard.logs(), program=program, group=yard.group
    )
