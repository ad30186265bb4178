"""An agent of services alone, as a child process: the real parts, put together as the agent does.

    python -m tests.services_child FOLDER RUN_DIR    FOLDER/cut: "before 3" or "after 3", of those to come

The power fails at that record: the process is gone at once, as with kill -9.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from edge_agent.adapters import services_open
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.broker.history import History
from edge_agent.broker.signals import Signals
from edge_agent.broker.vehicle import VehicleData
from edge_agent.config_services import Services
from fairway import log
from fairway.clock import SystemClock

GROUP = "fairway-test-power"


class CutKept(KeptFiles):
    """Records on a disk whose power fails."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._cut, self._count = folder.parent.parent / "cut", 0
        self._lock = threading.Lock()

    def keep(self, name: str, record: bytes) -> None:
        with self._lock:
            if not self._cut.exists():
                super().keep(name, record)
                return
            when, at = self._cut.read_text().split()
            is_last, self._count = self._count == int(at), self._count + 1
            if is_last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            super().keep(name, record)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)


def settings(folder: Path, run_dir: Path) -> Services:
    """Return the settings of the agent in a folder."""
    return Services(
        dir=folder / "services", run_dir=run_dir, cgroup_parent=GROUP, uid_first=741_000
    )


async def main(folder: Path, run_dir: Path) -> None:
    """Run until told to stop."""
    signals = Signals(())
    history = History(0, count=0, age_s=0, max_bytes=0)
    parts = await services_open.open_services(
        settings(folder, run_dir),
        folder / "spool",
        VehicleData(signals, history),
        (),
        SystemClock(),
    )
    running = asyncio.create_task(parts.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await asyncio.wait([running])
    finally:
        await parts.close()
    if not running.cancelled():
        running.result()


if __name__ == "__main__":
    log.set_up()
    services_open.KeptFiles = CutKept  # type: ignore[attr-defined,assignment]
    asyncio.run(main(*map(Path, sys.argv[1:3])))
