"""Each wall of a process of functions holds when the others are not there.

What is tried must do no harm where no wall stops it: the tests may run as root.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.adapters import function_jail

ROOT = Path(__file__).parents[3]

# Raises some of the walls in a process of its own, tries what they should stop, and says what came of it.
PROGRAM = """
import sys; sys.path.insert(0, {root!r})
import ctypes, json, os, socket
from edge_agent.adapters import function_jail as jail
kernel = ctypes.CDLL(None, use_errno=True)
walls = {{}}
mapped = jail._mapped_bytes()
{raising}
def tried(action):
    try:
        action()
    except BaseException as error:
        return type(error).__name__
    return "done"
def connect():
    with socket.socket() as one:
        one.settimeout(1)
        one.connect(("127.0.0.1", 9))
print(json.dumps([walls, {{
    "reads": tried(lambda: open("/etc/passwd").read()),
    "writes": tried(lambda: open({written!r}, "w").close()),
    "connects": tried(connect),
    "signals": tried(lambda: os.kill(os.getppid(), 0)),
    "takes": tried(lambda: bytearray(1 << 28)),
    "forks": tried(lambda: os._exit(0) if os.fork() == 0 else os.wait()),
}}]))
"""


def tried(raising: str, folder: Path) -> dict[str, str]:
    written = str(folder / "written")
    program = PROGRAM.format(root=str(ROOT), raising=raising, written=written)
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        capture_output=True,
        check=True,
        text=True,
    )
    walls, outcomes = json.loads(ran.stdout)
    missing = {name: why for name, why in walls.items() if why}
    if missing:
        pytest.skip(f"this system does not give it: {missing}")
    found: dict[str, str] = outcomes
    return found


def test_without_walls_all_of_it_can_be_done(tmp_path: Path):
    free = tried("", tmp_path)

    assert free.pop("connects") == "ConnectionRefusedError"
    assert set(free.values()) == {"done"}


def test_the_empty_root_has_no_files_and_the_network_no_way_out(tmp_path: Path):
    behind = tried("jail._leave(kernel, walls)", tmp_path)

    assert behind["reads"] == "FileNotFoundError"
    assert behind["writes"] in {"FileNotFoundError", "OSError", "PermissionError"}
    assert behind["connects"] == "OSError"  # no route, where there was a machine that refused


def test_landlock_alone_keeps_files_and_the_parent_safe(tmp_path: Path):
    behind = tried(
        "jail._drop_rights(kernel); walls['l'] = jail._tried(lambda: jail._landlock(kernel))",
        tmp_path,
    )

    assert behind["reads"] == "PermissionError"
    assert behind["writes"] == "PermissionError"
    assert behind["connects"] == "PermissionError"
    assert behind["signals"] == "PermissionError"


def test_the_limits_alone_keep_memory_and_files(tmp_path: Path):
    behind = tried("walls['limits'] = jail._tried(lambda: jail._limits(mapped, 1 << 24))", tmp_path)

    assert behind["takes"] == "MemoryError"
    assert behind["reads"] == "OSError"  # no descriptor is left


def test_a_system_without_a_wall_says_why():
    def absent() -> None:
        raise OSError(38, "unshare: Function not implemented")

    assert function_jail._tried(absent) == "[Errno 38] unshare: Function not implemented"
