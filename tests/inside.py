"""Python programs that look around inside a container, and say what they found."""

import json
from typing import Any

from edge_agent.adapters.runtime_oci import OciRuntime
from edge_agent.services.instance import Instance
from fairway.services.model import Resources
from tests.containers import PYTHON
from tests.waiting import until
from tests.yards import Yard

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
