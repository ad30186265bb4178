"""Real programs as a test sees them: started, watched, killed by pid, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent


def until(what: str, done: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for `done`, asking every 50 ms; fail saying `what` did not come."""
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, f"{what} did not come within {within_s:g} s"
        time.sleep(0.05)


class Program:
    """One of our command lines as a child process; its output goes to a file beside the test's data."""

    def __init__(self, *arguments: str | Path, log: Path, name: str | None = None) -> None:
        self.arguments = [str(BIN / str(arguments[0])), *map(str, arguments[1:])]
        self.name = name or str(arguments[0])
        self.log = log
        self.environment: dict[str, str] = {}  # on top of our own
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> "Program":
        """Start it (again)."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                self.arguments,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | self.environment,
                start_new_session=True,  # a signal to a group of processes is meant for this one alone
            )
        return self

    @property
    def pid(self) -> int:
        """The process id of the running child."""
        assert self.child is not None, f"{self.name} was not started"
        return self.child.pid

    @property
    def is_running(self) -> bool:
        """Whether the child has not ended."""
        return self.child is not None and self.child.poll() is None

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.child is not None
        self.child.kill()
        self.child.wait(10)

    def interrupt(self) -> None:
        """Press Ctrl-C: a terminal tells the program and all of its children that share its session."""
        os.killpg(self.pid, signal.SIGINT)

    def stop(self, within_s: float = 20.0) -> int:
        """End it as an operator would and return its exit code."""
        assert self.child is not None
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.child.wait(within_s)

    def wait(self, within_s: float) -> int:
        """Return its exit code once it ended by itself."""
        assert self.child is not None
        try:
            return self.child.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {within_s:g} s:\n{self.said()}"
            ) from None

    def said(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.is_running:
            self.kill()


def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one of our command lines to its end."""
    done = subprocess.run(
        [str(BIN / str(arguments[0])), *map(str, arguments[1:])],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not check or done.returncode == 0, f"{arguments} -> {done.returncode}:\n{done.stderr}"
    return done


def children_of(pid: int, name: str) -> Sequence[int]:
    """Return the pids of the direct children of `pid` whose command is called `name`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        command = stat[stat.index("(") + 1 : stat.rindex(")")]
        parent = int(stat[stat.rindex(")") + 2 :].split()[1])
        if parent == pid and command.startswith(name):
            found.append(int(entry.name))
    return found


def kill_pid(pid: int) -> None:
    """Kill a process that one of our programs started."""
    os.kill(pid, signal.SIGKILL)
