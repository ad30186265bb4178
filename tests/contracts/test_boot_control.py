"""Every bootloader: what is kept is started, what is tried is started once, and each is one durable word."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.adapters import boot_grub, boot_simulated
from edge_agent.adapters.boot_efi import Efi
from edge_agent.adapters.boot_grub import Grub
from edge_agent.adapters.boot_rauc import Rauc
from edge_agent.adapters.boot_simulated import SimulatedBoot
from edge_agent.adapters.boot_uboot import UBoot
from edge_agent.adapters.update_files import RealFiles
from edge_agent.updates.boot import BootControl, BootState
from fairway.errors import BadInput, Unavailable
from tests.shared_data import missing
from tests.waiting import until

pytestmark = pytest.mark.slow

Made = tuple[BootControl, str, str]


def simulated(folder: Path) -> Made:
    return SimulatedBoot(folder / "boot.json", "a"), "a", "b"


def uboot(folder: Path) -> Made:
    if shutil.which("fw_setenv") is None:
        missing("fw_setenv is not installed (libubootenv-tool)")
    first, second, config = folder / "env1", folder / "env2", folder / "fw_env.config"
    for one in (first, second):
        one.write_bytes(bytes(0x4000))
    config.write_text(f"{first} 0x0 0x4000\n{second} 0x0 0x4000\n")
    defaults = folder / "defaults"
    defaults.write_text("bootdelay=2\n")
    subprocess.run(
        ["fw_setenv", "-c", str(config), "-f", str(defaults), "bootdelay", "2"], check=True
    )
    return UBoot(lambda: "a", config), "a", "b"


def grub(folder: Path) -> Made:
    return Grub(lambda: "a", folder / "grubenv"), "a", "b"


def efi(folder: Path) -> Made:
    write_variable(folder, "BootCurrent", [1])
    write_variable(folder, "BootOrder", [1, 2, 0x10])
    return Efi(folder), "0001", "0002"


def write_variable(folder: Path, name: str, numbers: list[int]) -> None:
    value = b"\x07\0\0\0" + b"".join(one.to_bytes(2, "little") for one in numbers)
    (folder / f"{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c").write_bytes(value)


RAUC = """#!/usr/bin/env python3
# What `rauc status` of 1.8 prints, and what its marks do to it.
import json, pathlib, sys
path = pathlib.Path(__file__).with_name("rauc.json")
said = json.loads(path.read_text())
if sys.argv[1:] == ["status", "--output-format=json"]:
    print(json.dumps(said))
    sys.exit(0)
verb, slot = sys.argv[2:4]
about = {name: one for part in said["slots"] for name, one in part.items()}
if verb == "mark-active":
    said["boot_primary"] = slot
elif verb == "mark-good":
    about[slot]["boot_status"] = "good"
path.write_text(json.dumps(said))
"""


def rauc(folder: Path) -> Made:
    program = folder / "rauc"
    program.write_text(RAUC)
    program.chmod(0o755)
    slots = [
        {"rootfs.0": {"bootname": "a", "state": "booted", "boot_status": "good"}},
        {"rootfs.1": {"bootname": "b", "state": "inactive", "boot_status": "bad"}},
    ]
    said = {"compatible": "x", "booted": "a", "boot_primary": "rootfs.0", "slots": slots}
    (folder / "rauc.json").write_text(json.dumps(said))
    return Rauc(str(program)), "a", "b"


@pytest.fixture(params=[simulated, uboot, grub, efi, rauc])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    make: Callable[[Path], Made] = request.param
    return make(tmp_path)


async def test_at_first_what_runs_is_kept(made: Made):
    boot, first, _ = made

    assert await boot.state() == BootState(first, first)


async def test_what_is_tried_is_said_and_what_is_kept_stays(made: Made):
    boot, first, second = made
    await boot.try_slot(second)

    state = await boot.state()

    assert (state.kept, state.tried) == (first, second)


async def test_to_keep_the_old_one_ends_the_trial(made: Made):
    boot, first, second = made
    await boot.try_slot(second)
    await boot.keep_slot(first)

    assert await boot.state() == BootState(first, first)


async def test_to_say_it_twice_changes_nothing(made: Made):
    boot, first, second = made
    for _ in range(2):
        await boot.try_slot(second)
    assert (await boot.state()).tried == second
    for _ in range(2):
        await boot.keep_slot(first)

    assert await boot.state() == BootState(first, first)


@pytest.mark.parametrize("make", [simulated, uboot, grub, efi])
async def test_what_is_kept_anew_is_kept(make: Callable[[Path], Made], tmp_path: Path):
    boot, _, second = make(tmp_path)
    await boot.try_slot(second)
    await boot.keep_slot(second)

    state = await boot.state()

    assert (state.kept, state.tried) == (second, "")


async def test_grub_itself_reads_what_we_write_and_we_what_it_writes(tmp_path: Path):
    program = shutil.which("grub-editenv")
    if program is None:
        missing("grub-editenv is not installed (grub-common)")
    path = tmp_path / "grubenv"
    subprocess.run([str(program), str(path), "create"], check=True)
    subprocess.run([str(program), str(path), "set", "others=a\\b", "saved_entry=a"], check=True)
    await Grub(lambda: "a", path).try_slot("b")

    said = subprocess.run(
        [str(program), str(path), "list"], check=True, capture_output=True, text=True
    ).stdout

    assert set(said.splitlines()) == {"others=a\\b", "saved_entry=a", "next_entry=b"}
    subprocess.run([str(program), str(path), "unset", "next_entry"], check=True)
    assert (await Grub(lambda: "a", path).state()).tried == ""


async def test_an_environment_of_uboot_keeps_the_variables_of_others(tmp_path: Path):
    boot, _, second = uboot(tmp_path)
    await boot.try_slot(second)

    said = subprocess.run(
        ["fw_printenv", "-c", str(tmp_path / "fw_env.config")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()

    assert {"bootdelay=2", "fairway_tried=b", "upgrade_available=1", "bootcount=0"} <= set(said)


async def test_an_efi_order_keeps_the_other_entries(tmp_path: Path):
    boot, _, second = efi(tmp_path)
    await boot.keep_slot(second)

    content = (tmp_path / "BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c").read_bytes()

    assert content == bytes.fromhex("07000000 0200 0100 1000")


def test_a_block_of_grub_without_room_is_refused():
    with pytest.raises(BadInput, match="1024 are there"):
        boot_grub.written({"name": "x" * 1024})


@pytest.mark.parametrize("content", [b"garbage", b"# GRUB Environment Block\nshort=1\n"])
async def test_what_is_no_block_of_grub_is_not_overwritten(tmp_path: Path, content: bytes):
    path = tmp_path / "grubenv"
    path.write_bytes(content)

    with pytest.raises(Unavailable, match="no environment block"):
        await Grub(lambda: "a", path).try_slot("b")
    assert path.read_bytes() == content


RAUC_SYSTEM = """[system]
compatible=bench
bootloader=custom
[handlers]
bootloader-custom-backend={folder}/backend
[slot.rootfs.0]
device={folder}/a.img
type=raw
bootname=a
[slot.rootfs.1]
device={folder}/b.img
type=raw
bootname=b
"""
RAUC_BACKEND = """#!/bin/sh
case "$1" in
get-primary) cat {folder}/primary 2>/dev/null || echo a;;
set-primary) echo "$2" >{folder}/primary;;
get-state) cat "{folder}/state.$2" 2>/dev/null || echo good;;
set-state) echo "$3" >"{folder}/state.$2";;
esac
"""


@contextlib.contextmanager
def rauc_itself(folder: Path) -> Iterator[Rauc]:
    """Run RAUC's service on a bus of its own, with a bootloader that is a script."""
    if shutil.which("rauc") is None or shutil.which("dbus-daemon") is None:
        missing("rauc or dbus-daemon is not installed")
    (folder / "system.conf").write_text(RAUC_SYSTEM.format(folder=folder))
    for name in ("a.img", "b.img"):
        (folder / name).write_bytes(bytes(4096))
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as bus:
        assert bus.stdout is not None
        address = bus.stdout.readline().strip()
        program, backend = folder / "rauc", folder / "backend"
        words = f'DBUS_STARTER_BUS_TYPE=session DBUS_SESSION_BUS_ADDRESS="{address}"'
        program.write_text(f'#!/bin/sh\n{words} exec rauc "$@"\n')
        backend.write_text(RAUC_BACKEND.format(folder=folder))
        for one in (program, backend):
            one.chmod(0o755)
        options = ["-c", str(folder / "system.conf"), "--override-boot-slot=a", "service"]
        service = subprocess.Popen(
            [str(program), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield Rauc(str(program))
        finally:
            for process in (service, bus):
                process.terminate()
                process.wait(20)


async def test_rauc_itself_does_what_is_said(tmp_path: Path):
    with rauc_itself(tmp_path) as boot:

        async def is_there() -> bool:
            with contextlib.suppress(Unavailable):
                return (await boot.state()).booted == "a"
            return False

        await until(is_there)
        await boot.try_slot("b")
        assert await boot.state() == BootState("a", "a", "b")
        await boot.keep_slot("a")

        assert await boot.state() == BootState("a", "a")
        with pytest.raises(BadInput, match="no slot with the bootname 'c'"):
            await boot.try_slot("c")


async def test_a_program_that_is_not_there_is_unavailable():
    with pytest.raises(Unavailable, match="cannot be run"):
        await Rauc("/nowhere/rauc").state()


def test_the_simulated_one_starts_what_is_tried_so_often_and_goes_back(tmp_path: Path):
    files, path = RealFiles(), tmp_path / "boot.json"
    path.write_text(json.dumps({"kept": "a", "tried": "b", "left": 2}))

    assert [boot_simulated.start(files, path, "a") for _ in range(4)] == ["b", "b", "a", "a"]
