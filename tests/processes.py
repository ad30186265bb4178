"""Plain processes for the contract of runtimes: busybox of this machine, each service as a user of its own."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from edge_agent.adapters.runtime_process import ProcessRuntime
from edge_agent.services.instance import Instance
from fairway.clock import SystemClock
from fairway.services.model import Runner, Service
from tests.edge_agent.adapters.process_site import groups_of_a_test, next_uid
from tests.runtime_yard import RuntimeYard
from tests.shared_data import missing

BUSYBOX = "/bin/busybox"


class ProcessYard(RuntimeYard):
    """A place for processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.groups = groups_of_a_test()
        self._uids: dict[str, int] = {}

    async def opened(self) -> ProcessRuntime:
        return ProcessRuntime(self.folder / "run", self.logs, SystemClock(), self.groups)

    def script(self, name: str, script: str, **service: object) -> Instance:
        made = replace(
            Service(name, "1.0.0", runner=Runner.PROCESS, command=(BUSYBOX, "sh", "-c", script)),
            **service,  # type: ignore[arg-type]
        )
        id_, sockets = self.numbered(name, made)
        uid = self._uids.setdefault(name, next_uid())
        data = tuple((self.folder / "data" / name, one) for one in made.data)
        return Instance(id_, made, None, uid, sockets, data)


@contextlib.asynccontextmanager
async def process_yard() -> AsyncIterator[ProcessYard]:
    """Give a yard, and leave nothing of it."""
    if not Path(BUSYBOX).exists():
        missing("busybox is not installed: there is nothing to run as a process")
    if os.geteuid() != 0:
        missing("processes get limits and a user of their own from root alone")
    folder = Path(tempfile.mkdtemp(prefix="processes-"))
    folder.chmod(0o755)  # other users pass it
    yard = ProcessYard(folder)
    if not (yard.groups.memory and yard.groups.cpu and yard.groups.pids):
        missing("control groups cannot be made here")
    try:
        yield yard
    finally:
        await yard.clean()
        yard.groups.close()
        shutil.rmtree(folder, ignore_errors=True)
