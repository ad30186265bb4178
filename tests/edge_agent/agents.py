"""An agent with a log of its own: a small database, a drive of so many frames, settings, and the program."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np

from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.telemetry.collection import Collection
from fairway.catalog.load import catalog_of
from fairway.samples import SampleBlock
from tests.certificates import Authority

VEHICLE = "CAR-1"
AGENT = Path(sys.executable).parent / "edge-agent"

DBC = """VERSION ""
NS_ :
BS_:
BU_: ECU
BO_ 256 MOTION: 8 ECU
 SG_ Speed : 0|16@1+ (0.01,0) [0|0] "km/h" Vector__XXX
 SG_ Gear : 16|4@1+ (1,0) [0|15] "" Vector__XXX
 SG_ Yaw : 24|16@1- (0.1,-5) [0|0] "deg/s" Vector__XXX
BO_ 512 BATTERY: 4 ECU
 SG_ Voltage : 0|16@1+ (0.1,0) [0|0] "V" Vector__XXX
 SG_ Current : 16|16@1- (0.1,0) [0|0] "A" Vector__XXX
VAL_ 256 Gear 0 "P" 1 "R" 2 "N" 3 "D" ;
"""

SETTINGS = """
[vehicle]
id = "{vehicle}"
[[bus]]
name = "can0"
databases = ["car.dbc"]
{source}
{replay}
[telemetry]
collect = "all"
interval_ms = {interval_ms}
on_change = {on_change}
batch_max_samples = 100
[spool]
dir = "spool"
{spool}
[uplink]
url = "{url}"
ca = "{ca}"
certificate = "{certificate}"
key = "{key}"
{more}
"""


def drive(frames: int, *, jump_at: int | None = None, jump_ns: int = 0) -> list[Frame]:
    """Return a drive at 100 and 50 frames/s; from `jump_at` on the clock that stamps is off by `jump_ns`."""
    random = np.random.default_rng(5)
    drawn = []
    for number in range(frames):
        payload = random.integers(0, 256, 8, np.uint8).tobytes()
        time_ns = 1_700_000_000_000_000_000 + number * 5_000_000
        if jump_at is not None and number >= jump_at:
            time_ns += jump_ns
        is_motion = number % 3 != 0
        drawn.append(Frame(256 if is_motion else 512, payload[: 8 if is_motion else 4], time_ns))
    return drawn


def write_log(path: Path, frames: list[Frame]) -> None:
    """Write candump text."""
    lines = [
        f"({f.time_ns // 10**9}.{f.time_ns % 10**9 // 1000:06d}) can0 {f.can_id:03X}#{f.data.hex().upper()}\n"
        for f in frames
    ]
    path.write_text("".join(lines))


def collected(frames: list[Frame], *, interval_ms: int = 0, on_change: bool = False) -> SampleBlock:
    """Return what an agent that is never interrupted collects of `frames`."""
    plan = compile_plan(
        [BusDatabases("can0", (database.loads(DBC.encode(), name="car", suffix=".dbc"),))]
    )
    mapping = compile_mapping(plan, catalog_of([]), unmapped=True)
    collection = Collection(mapping.table, interval_ms, on_change)
    block = block_of(frames)
    return collection.collect(mapping.apply(make_decoder(plan).decode(block), block))


# What tests have started and not ended: `end_all` is for those that failed in between.
_STARTED: set[asyncio.subprocess.Process] = set()


async def end_all() -> None:
    """End every agent that still runs."""
    for process in _STARTED:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    _STARTED.clear()


class Agent:
    """An `edge-agent run` in a folder."""

    def __init__(self, folder: Path, authority: Authority, port: int, **settings: object) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        identity = authority.vehicle(VEHICLE)
        known = {
            "vehicle": VEHICLE,
            "source": "",
            "replay": '[replay]\nlog = "drive.log"',
            "interval_ms": 0,
            "on_change": "false",
            "spool": "",
            "url": f"grpcs://localhost:{port}",
            "ca": authority.ca,
            "certificate": identity.certificate,
            "key": identity.key,
            "more": "",
        }
        (folder / "car.dbc").write_text(DBC)
        (folder / "agent.toml").write_text(SETTINGS.format(**known | settings))
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> None:
        """Start the program."""
        self.process = await asyncio.create_subprocess_exec(
            str(AGENT),
            "run",
            "--config",
            str(self.folder / "agent.toml"),
            "--json",
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _STARTED.add(self.process)

    async def ended(self, within_s: float = 60) -> tuple[int, dict[str, int], str]:
        """Return its exit code, its summary and what it said on standard error."""
        assert self.process is not None
        async with asyncio.timeout(within_s):
            out, said = await self.process.communicate()
        code = self.process.returncode
        assert code is not None
        return code, json.loads(out) if out else {}, said.decode()

    async def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


def same(one: SampleBlock, other: SampleBlock) -> bool:
    """Whether two blocks say the same of the same signals, in the same order."""
    return (
        [signal.name for signal in one.table] == [signal.name for signal in other.table]
        and np.array_equal(one.signal, other.signal)
        and np.array_equal(one.time_ns, other.time_ns)
        and list(one.rows()) == list(other.rows())
    )
