"""What a service in a container cannot do, tried from inside, by a Python that does its worst."""

import json
import os
import platform
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.runtime_oci import OciRuntime
from edge_agent.functions.syscalls import SYSCALLS
from edge_agent.services.instance import Instance
from edge_agent.services.seccomp_calls import REFUSED
from fairway.services.model import MIB, Data, Network, Resources
from tests.containers import PYTHON, need, oci_yard, python_layers
from tests.waiting import until
from tests.yards import BUSYBOX, Yard, open_oci

COLUMN = 1 if platform.machine() == "x86_64" else 2
NUMBERS = {name: row[COLUMN] for name, row in SYSCALLS.items() if row[COLUMN] is not None}

TOOLS = """
import ctypes, errno, json, os, socket, sys
kernel = ctypes.CDLL(None, use_errno=True)

def call(number, *args):
    # as long numbers, or the kernel would see half of each
    done = kernel.syscall(ctypes.c_long(number), *(ctypes.c_long(arg) for arg in args))
    return errno.errorcode.get(ctypes.get_errno(), "?") if done < 0 else "done"

def tried(work):
    try:
        return work()
    except OSError as error:
        return errno.errorcode[error.errno]

def write(path, text="x"):
    def work():
        with open(path, "w") as file:
            file.write(text)
        return "done"
    return tried(work)

def read(path, size=100):
    return tried(lambda: open(path, "rb").read(size).decode("latin-1"))
"""


class Inside:
    """Runs programs in containers of one agent, and returns what they found out."""

    def __init__(self, yard: Yard, runtime: OciRuntime) -> None:
        self.yard, self.runtime = yard, runtime

    def instance(self, name: str, code: str, *args: str, **service: Any) -> Instance:
        service.setdefault("resources", Resources(cpu_max=2))  # these are not about time
        return self.yard.instance(name, *PYTHON, "-c", TOOLS + code, *args, **service)

    async def found(self, code: str, *args: str, name: str = "attacker", **service: Any) -> Any:
        """Return what `code` says: one line of JSON."""
        instance = self.instance(name, code, *args, **service)
        await self.runtime.start(instance)

        async def ended() -> bool:
            return (await self.runtime.instances())[instance.id].exit is not None

        await until(ended)
        lines = self.runtime.logs.lines(instance.id, 1000)
        for line in lines:
            if " stdout {" in line:
                return json.loads(line.split(" ", 2)[2])
        raise AssertionError("\n".join(lines))


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return python_layers(tmp_path_factory.mktemp("python"))


@pytest.fixture
async def inside(tmp_path: Path, layers: tuple[Path, ...]) -> AsyncIterator[Inside]:
    need("runc")
    async with oci_yard(tmp_path) as yard:
        yard.layers = layers
        runtime = await open_oci(yard, "runc")
        yield Inside(yard, runtime)
        for id_ in await runtime.instances():
            await runtime.stop(id_, grace_s=0)
        await runtime.close()


async def test_calls_that_attacks_need_are_refused(inside: Inside):
    wanted = {name: number for name, number in NUMBERS.items() if name in REFUSED}
    assert len(wanted) >= 20

    found = await inside.found(
        "print(json.dumps({name: call(number, 0, 0, 0, 0, 0) for name, number in"
        " json.loads(sys.argv[1]).items()}))",
        json.dumps(wanted),
    )

    assert found == dict.fromkeys(wanted, "EPERM")


async def test_what_would_work_without_the_list_of_calls_does_not(inside: Inside):
    # Each of these succeeds for a process without rights: PTRACE_TRACEME, a new key ring, a user namespace.
    found = await inside.found(
        f"""
print(json.dumps({{
    "ptrace": call({NUMBERS["ptrace"]}, 0, 0, 0, 0),
    "keyctl": call({NUMBERS["keyctl"]}, 1, 0),
    "unshare": call({NUMBERS["unshare"]}, 0x10000000),
    "clone": call({NUMBERS["clone"]}, 0x10000000 | 17, 0, 0, 0, 0),
    "clone3": call({NUMBERS["clone3"]}, 0, 0),
    "unknown": call(4000),
    "high half": call({NUMBERS["unshare"]}, (1 << 40) | 0x10000000),
}}))
"""
    )

    assert found == {
        "ptrace": "EPERM",
        "keyctl": "EPERM",
        "unshare": "EPERM",
        "clone": "EPERM",
        "clone3": "ENOSYS",
        "unknown": "ENOSYS",
        "high half": "EPERM",
    }


async def test_what_programs_do_they_may_do(inside: Inside):
    found = await inside.found(
        """
import asyncio, hashlib, mmap, multiprocessing, select, signal, sqlite3, ssl, subprocess, tempfile, threading

def threads():
    done = []
    started = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
    [thread.start() for thread in started]
    [thread.join() for thread in started]
    return len(done)

async def loop():
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), "/run/ecu/own.sock")
    reader, writer = await asyncio.open_unix_connection("/run/ecu/own.sock")
    rest = await reader.read()
    tcp = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0)
    await asyncio.open_connection("localhost", tcp.sockets[0].getsockname()[1])
    server.close()
    return rest == b""

with tempfile.NamedTemporaryFile() as file:
    database = sqlite3.connect(file.name)
    database.execute("create table t (x)")
    rows = database.execute("select count(*) from t").fetchone()[0]
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    squares = pool.map(abs, [-1, -2])
print(json.dumps({
    "threads": threads(), "loop": asyncio.run(loop()), "rows": rows, "squares": squares,
    "child": subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True).stdout.decode(),
    "mmap": len(mmap.mmap(-1, 4096)), "random": len(os.urandom(8)), "name": socket.gethostname(),
    "self": socket.gethostbyname("localhost"), "sent": tried(lambda: os.kill(os.getpid(), 0)),
}))
"""
    )

    assert found == {
        "threads": 8,
        "loop": True,
        "rows": 0,
        "squares": [1, 2],
        "child": "7\n",
        "mmap": 4096,
        "random": 8,
        "name": "attacker",
        "self": "127.0.0.1",
        "sent": None,
    }


async def test_sockets_lead_to_its_own_network_and_to_no_bus(inside: Inside):
    opened = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16}
    closed = {"packet": 17, "can": 29, "alg": 38, "vsock": 40}

    found = await inside.found(
        """
def opened(family):
    # raw: CAN and packets have no others
    kind = socket.SOCK_RAW if family in (16, 17, 29) else socket.SOCK_STREAM
    return tried(lambda: socket.socket(family, kind).close() or "done")

def connected(address):
    with socket.socket() as tried_socket:
        return tried(lambda: tried_socket.connect(address) or "done")

print(json.dumps({
    "families": {name: opened(family) for name, family in json.loads(sys.argv[1]).items()},
    "raw": tried(lambda: socket.socket(2, socket.SOCK_RAW, 1)),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "elsewhere": connected(("192.0.2.1", 80)),
}))
""",
        json.dumps(opened | closed),
    )

    assert found == {
        "families": dict.fromkeys(opened, "done") | dict.fromkeys(closed, "EAFNOSUPPORT"),
        "raw": "EPERM",
        "interfaces": ["lo"],
        "elsewhere": "ENETUNREACH",
    }


async def test_a_bus_is_out_of_reach_even_on_the_network_of_the_vehicle(inside: Inside):
    found = await inside.found(
        """
print(json.dumps({
    "can": tried(lambda: socket.socket(29, socket.SOCK_RAW, 1)),
    "packet": tried(lambda: socket.socket(17, socket.SOCK_RAW)),
    "inet": tried(lambda: socket.socket().close()),
    "resolver": os.path.exists("/etc/resolv.conf"), "written": write("/etc/hosts"),
}))
""",
        network=Network.HOST,
    )

    assert found == {
        "can": "EAFNOSUPPORT",
        "packet": "EAFNOSUPPORT",
        "inet": None,
        "resolver": Path("/etc/resolv.conf").exists(),
        "written": "EROFS",
    }


async def test_there_is_no_way_to_the_sockets_of_another_service(inside: Inside):
    victim = inside.yard.script("victim", "")
    path = str(victim.sockets / "agent.sock")
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as abstract:
        folder = os.open(victim.sockets, os.O_PATH)
        door.bind(f"/proc/self/fd/{folder}/agent.sock")  # however long the path is
        os.close(folder)
        door.listen()
        Path(path).chmod(0o666)
        abstract.bind(f"\0fairway-{os.getpid()}")
        abstract.listen()

        found = await inside.found(
            """
def connected(address):
    with socket.socket(socket.AF_UNIX) as tried_socket:
        return tried(lambda: tried_socket.connect(address) or "done")

def every(top):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(top) for name in names
                  if name.endswith(".sock"))

print(json.dumps({
    "absolute": connected(sys.argv[1][:100]), "abstract": connected(chr(0) + sys.argv[2]),
    "above": sorted(os.listdir("/run/ecu/..")), "mine": os.listdir("/run/ecu"),
    "sockets": every("/run") + every("/tmp") + every("/dev"),
    "of the first process": tried(lambda: os.listdir("/proc/1/root/run")),
    "processes": [pid for pid in os.listdir("/proc") if pid.isdigit()],
    "link": tried(lambda: os.link("/etc/hosts", "/run/ecu/hosts")),
}))
""",
            path,
            f"fairway-{os.getpid()}",
        )

    assert found == {
        "absolute": "ENOENT",
        "abstract": "ECONNREFUSED",
        "above": ["ecu"],
        "mine": [],
        "sockets": [],
        "of the first process": ["ecu"],
        "processes": ["1"],
        "link": "EXDEV",
    }


async def test_devices_and_the_kernels_files_are_out_of_reach(inside: Inside):
    found = await inside.found(
        """
import stat
print(json.dumps({
    "devices": sorted(name for name in os.listdir("/dev") if stat.S_ISCHR(os.lstat("/dev/" + name).st_mode)),
    "made": tried(lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))),
    "in dev": write("/dev/x"), "fifo": tried(lambda: os.mkfifo("/tmp/fifo")),
    "sys": write("/proc/sys/kernel/hostname"), "sysrq": write("/proc/sysrq-trigger"),
    "core": write("/proc/sys/kernel/core_pattern"), "oom": write("/proc/1/oom_score_adj", "-1000"),
    "kcore": read("/proc/kcore"), "keys": read("/proc/keys"), "timers": read("/proc/timer_list"),
    "firmware": os.listdir("/sys/firmware"), "modules": write("/sys/module/x"),
    "power": write("/sys/power/state"), "groups": os.listdir("/sys/fs"),
}))
"""
    )

    # Not every kernel has all of these.
    for name, masked in {"sysrq": "EROFS", "kcore": "", "keys": "", "timers": ""}.items():
        assert found.pop(name) in (masked, "ENOENT"), name
    assert found.pop("modules") in ("EROFS", "EACCES", "EPERM", "ENOENT")
    assert found == {
        "devices": ["full", "null", "random", "tty", "urandom", "zero"],
        "made": "EPERM",
        "in dev": "EACCES",
        "fifo": None,
        "sys": "EROFS",
        "core": "EROFS",
        "oom": "EACCES",
        "firmware": [],
        "power": "EROFS",
        "groups": [],
    }


async def test_it_is_nobody_and_stays_so(inside: Inside):
    found = await inside.found(
        """
import resource
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)

def more_files():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
    except ValueError:  # so Python says EPERM here
        return "refused"

print(json.dumps({
    "ids": status["Uid"].split() + status["Gid"].split(), "groups": status["Groups"].strip(),
    "caps": sorted({status[name] for name in status if name.startswith("Cap")}),
    "nnp": status["NoNewPrivs"], "seccomp": status["Seccomp"], "files": more_files(),
    "root": tried(lambda: os.setuid(0)), "nice": tried(lambda: os.nice(-5)),
    "group": tried(lambda: os.setgroups([0])), "chown": tried(lambda: os.chown("/run/ecu", 0, 0)),
    "open": sorted(os.listdir("/proc/self/fd")),
}))
""",
        resources=Resources(files_max=100),
    )

    uid = str(inside.yard.instance("attacker").uid)
    assert found == {
        "ids": [uid] * 8,
        "groups": "",
        "caps": ["0" * 16],
        "nnp": "1",
        "seccomp": "2",
        "files": "refused",
        "root": "EPERM",
        "nice": "EPERM",
        "group": "EPERM",
        "chown": "EPERM",
        "open": ["0", "1", "2", "3"],  # the last is the folder that it lists
    }


async def test_what_is_kept_in_memory_is_limited_too(inside: Inside):
    code = """
def filled(path):
    written = 0
    with open(path, "wb", buffering=0) as file:
        try:
            while written < (1 << 26):
                written += file.write(bytes(1 << 16))
        except OSError as error:
            return errno.errorcode[error.errno], written
    return "done", written

print(json.dumps({"tmp": filled("/tmp/x"), "shm": filled("/dev/shm/x")}))
"""

    found = await inside.found(
        code, resources=Resources(memory_max_bytes=64 * MIB, tmp_max_bytes=2 * MIB)
    )

    assert found == {"tmp": ["ENOSPC", 2 * MIB], "shm": ["ENOSPC", 16 * MIB]}


async def test_a_service_that_takes_too_much_memory_is_ended_and_its_neighbour_runs_on(
    inside: Inside,
):
    neighbour = inside.instance("neighbour", "import time\ntime.sleep(1000)")
    await inside.runtime.start(neighbour)
    hog = inside.instance(
        "hog",
        "taken = []\nwhile True: taken.append(bytearray(b'x') * (1 << 20)); print(len(taken), flush=True)",
        resources=Resources(memory_max_bytes=48 * MIB),
    )
    await inside.runtime.start(hog)

    async def ended() -> bool:
        return (await inside.runtime.instances())[hog.id].exit is not None

    await until(ended)

    instances = await inside.runtime.instances()
    exit_ = instances[hog.id].exit
    assert exit_ is not None
    assert (exit_.signal, exit_.was_out_of_memory) == (9, True)
    assert (
        10 < len(inside.runtime.logs.lines(hog.id, 1000)) < 48
    )  # of 1 MiB each, beside Python itself
    assert instances[neighbour.id].exit is None


async def test_a_program_that_gives_its_user_more_rights_gives_none(inside: Inside):
    # As root made it: a program of another user that runs with his rights, on a layer of the image.
    layer = inside.yard.folder / "layer"
    program = layer / "rights" / "busybox"
    program.parent.mkdir(parents=True)
    shutil.copy(BUSYBOX, program)
    program.chmod(0o4755)
    inside.yard.layers = (*inside.yard.layers, layer)

    found = await inside.found(
        """
import subprocess
program = "/rights/busybox"
who = subprocess.run([program, "id", "-u"], capture_output=True, text=True)
print(json.dumps({"uid": who.stdout.strip(), "is": str(os.getuid()), "mode": oct(os.stat(program).st_mode)}))
"""
    )

    assert found["uid"] == found["is"] != "0"
    assert found["mode"] == "0o104755"


async def test_data_belong_to_the_service_and_cannot_be_run(inside: Inside):
    found = await inside.found(
        """
import shutil, subprocess
shutil.copy("/bin/python", "/data/python")
os.chmod("/data/python", 0o755)
print(json.dumps({
    "run": tried(lambda: subprocess.run(["/data/python"]) and "done"),
    "mode": oct(os.stat("/data").st_mode & 0o777), "mine": os.stat("/data").st_uid == os.getuid(),
    "large": tried(lambda: os.truncate("/data/python", 1 << 30)),
}))
""",
        data=(Data("/data"),),
    )

    assert found == {"run": "EACCES", "mode": "0o700", "mine": True, "large": "EFBIG"}
