"""What a service in a container cannot do, tried from inside, by a Python that does its worst."""

import json
import os
import platform
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.functions.syscalls import SYSCALLS
from edge_agent.services.seccomp_calls import REFUSED
from fairway.services.model import Network, Resources
from tests.containers import need, oci_yard, python_layers
from tests.inside import Inside
from tests.yards import open_oci

COLUMN = 1 if platform.machine() == "x86_64" else 2
NUMBERS = {name: row[COLUMN] for name, row in SYSCALLS.items() if row[COLUMN] is not None}


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
