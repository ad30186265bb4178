"""Containers for tests: what they need, and nothing is left behind."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from edge_agent.adapters import cgroups
from edge_agent.adapters.overlay import mounted, unmount
from tests.shared_data import missing
from tests.yards import Yard, busybox_layer

PYTHON = ("/bin/python", "-S", "-P")


def need(program: str) -> str:
    """Return where a program is, or end the test that needs it for containers."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed: containers cannot be tried")
    if os.geteuid() != 0:
        missing("containers need a test run as root")
    assert path is not None
    return path


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


@contextlib.asynccontextmanager
async def oci_yard(folder: Path) -> AsyncIterator[Yard]:
    """Yield a yard, and leave no container, control group or mount behind, whatever happens inside."""
    need("busybox")
    yard = Yard(folder, (busybox_layer(folder),))
    try:
        yield yard
    finally:
        groups = cgroups.look()
        await cgroups.remove(groups, yard.group)
        for point in mounted():
            if point.is_relative_to(folder):
                await unmount(point)
