"""How much a service in a container may take, and what its files cannot do, tried from inside."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.services.model import MIB, Data, Resources
from tests.containers import need, oci_yard, python_layers
from tests.inside import Inside
from tests.waiting import until
from tests.yards import BUSYBOX, open_oci


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
