"""A place where services run as plain processes: folders that any user may pass, groups that are removed."""

import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge_agent.adapters.process_groups import ProcessGroups
from edge_agent.adapters.runtime_process import ProcessRuntime
from edge_agent.services.instance import Instance
from fairway.clock import SystemClock
from fairway.services.model import Data, Resources, Runner, Service

# Processes are counted by user, those that were ended a moment ago, too: each site has its own.
_UIDS = itertools.count(40_000 + os.getpid() * 100 % 1_000_000)


def next_uid() -> int:
    """Return a user that nobody else has."""
    return next(_UIDS)


def groups_of_a_test() -> ProcessGroups:
    """Return control groups below a parent that nobody else has."""
    return ProcessGroups(f"fairway-test-{uuid.uuid4().hex[:12]}")


class FileOutputs:
    """Standard output and error of each instance in one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.adopted: list[str] = []

    def open(self, id_: str) -> tuple[int, int]:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        out = os.open(self._folder / id_, flags, 0o600)
        return out, os.dup(out)

    def adopt(self, id_: str) -> None:
        self.adopted.append(id_)

    def close(self, id_: str) -> None:
        """Nothing reads it."""

    def text(self, id_: str) -> str:
        path = self._folder / id_
        return path.read_text() if path.exists() else ""


class Site:
    """One vehicle's folders; an agent after the other may run there."""

    def __init__(self, folder: Path, groups: ProcessGroups | None) -> None:
        self.folder, self.groups, self.uid = folder, groups, next_uid()
        (folder / "logs").mkdir(exist_ok=True)
        self.outputs = FileOutputs(folder / "logs")
        self.runtimes: list[ProcessRuntime] = []

    def runtime(self) -> ProcessRuntime:
        """Return the runtime of a new agent."""
        made = ProcessRuntime(self.folder / "run", self.outputs, SystemClock(), self.groups)
        self.runtimes.append(made)
        return made

    def instance(
        self,
        script: str,
        *,
        name: str = "lamp",
        argv: tuple[str, ...] = (),
        resources: Resources | None = None,
        data: bool = False,
        uid: int | None = None,
    ) -> Instance:
        """Return an instance that runs a script of the shell."""
        service = Service(
            name,
            "1.0.0",
            runner=Runner.PROCESS,
            command=argv or ("sh", "-c", script),
            resources=resources or Resources(),
        )
        if data:
            service = replace(service, data=(Data("/var/lib/lamp"),))
        return self.of(service, uid=uid)

    def of(self, service: Service, *, uid: int | None = None) -> Instance:
        """Return an instance of a service."""
        return Instance(
            f"{service.name}.0123456789ab",
            service,
            None,
            self.uid if uid is None else uid,
            self.folder / "sockets" / service.name,
            tuple((self.folder / "data" / service.name, one) for one in service.data),
        )


@contextmanager
def site(*, with_groups: bool) -> Iterator[Site]:
    """Give a site, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="site-"))
    folder.chmod(0o755)
    groups = groups_of_a_test() if with_groups else None
    try:
        yield Site(folder, groups)
    finally:
        if groups is not None:
            groups.close()
        shutil.rmtree(folder, ignore_errors=True)
