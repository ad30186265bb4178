"""An agent for tests that can be killed: it runs containers in a yard, as its own program.

python -m tests.oci_agent FOLDER start NAME SCRIPT    > "started", and waits for its end
python -m tests.oci_agent FOLDER watch                > {id: exit} in JSON, and again whenever that changes
"""

import asyncio
import json
import sys
from pathlib import Path

from tests.yards import Yard, busybox_layer, open_oci


async def run(folder: Path, what: str, *rest: str) -> None:
    """Do as told."""
    yard = Yard(folder, (busybox_layer(folder),))
    runtime = await open_oci(yard, "runc")
    if what == "start":
        print("opened", flush=True)
        await runtime.start(yard.script(*rest))
        print("started", flush=True)
    while True:
        seen = await runtime.instances()
        exits = {
            id_: one.exit and [one.exit.code, one.exit.signal, one.exit.was_out_of_memory]
            for id_, one in seen.items()
        }
        if what == "watch":
            print(json.dumps(exits), flush=True)
        await runtime.until_changed()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), *sys.argv[2:]))
