"""The Tesla mapping of KUKSA's CAN provider, unchanged: what a subscriber is told equals what others compute.

The other computation shares nothing with ours but the files: cantools decodes, PyYAML reads the overlay, and
the rules of the provider (interval, transform, type) are written down here once more.
"""

import asyncio
import math
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import cantools
import numpy as np
import pytest
import yaml

from edge_agent.adapters.unix_bus import UnixBus
from fairway.errors import Unavailable
from fairway.v1 import vehicle_data_pb2 as pb
from fairway.v1 import vehicle_data_pb2_grpc
from tests.e2e.programs import Program, until
from tests.onboard_apps import Issuer, bearer, channel
from tests.shared_data import shared

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SETTINGS = """\
[vehicle]
id = "TESLA-1"
[[bus]]
name = "vcan0"
source = "unix:{bus}"
databases = ["{dbc}"]
[signals]
catalogs = ["{catalog}"]
overlays = ["{overlay}"]
[spool]
dir = "data/spool"
[onboard]
keys = ["issuer/apps.pub"]
"""
Values = dict[str, list[tuple[int, Any]]]


def frames(log: Path) -> list[tuple[int, int, bytes]]:
    found = []
    for line in log.read_text().splitlines():
        stamp, _, frame = line.split()
        can_id, data = frame.split("#")
        seconds, micros = stamp.strip("()").split(".")
        time_ns = (int(seconds) * 10**6 + int(micros)) * 1000
        found.append((time_ns, int(can_id, 16), bytes.fromhex(data)))
    return found


def expected(dbc: Path, overlay: Path, log: Path) -> Values:
    """Return what the provider's rules make of the log."""
    database = cantools.database.Database(strict=False)
    database.add_dbc_file(dbc)
    homes: dict[str, list[str]] = defaultdict(list)
    for message in database.messages:
        for signal in message.signals:
            homes[signal.name].append(message.name)
    entries: dict[str, list[tuple[str, dict[str, Any], str]]] = defaultdict(list)
    for path, leaf in yaml.safe_load(overlay.read_text()).items():
        entry = leaf.get("dbc2vss")
        if entry and len(homes[entry["signal"]]) == 1:
            entries[homes[entry["signal"]][0]].append((path, entry, leaf["datatype"]))
    due_ns: dict[str, int] = {}
    made: Values = defaultdict(list)
    for time_ns, can_id, data in frames(log):
        message = database.get_message_by_frame_id(can_id)
        numbers: Any = message.decode(data, decode_choices=False, allow_truncated=True)
        for path, entry, datatype in entries[message.name]:
            if entry["signal"] not in numbers or time_ns < due_ns.get(path, 0):
                continue
            due_ns[path] = time_ns + entry.get("interval_ms", 1000) * 10**6
            choices: Any = message.get_signal_by_name(entry["signal"]).choices or {}
            value = transformed(entry.get("transform"), numbers[entry["signal"]], choices)
            if datatype == "string" and value in choices:
                value = str(choices[value])  # what a value has a name for is called by it
            if value is not None:
                made[path].append((time_ns, typed(datatype, value)))
    return made


def transformed(transform: dict[str, Any] | None, number: Any, choices: Any) -> Any:
    if transform is None:
        return number
    if "math" in transform:
        scope = {"x": number, "floor": math.floor, "ceil": math.ceil, "abs": abs}
        return eval(transform["math"], {"__builtins__": {}}, scope)
    text = str(choices[number]) if number in choices else None
    for row in transform["mapping"]:
        if row["from"] == text or (text is None and row["from"] == number):
            return row["to"]
    return None


def typed(datatype: str, value: Any) -> Any:
    if datatype == "boolean":
        return bool(value)
    if datatype == "float":
        return float(np.float32(value))
    return int(value) if "int" in datatype else value


class Listening:
    """A subscriber in a thread of its own."""

    def __init__(self, where: str, token: str, paths: list[str]) -> None:
        self.told: Values = defaultdict(list)
        self.dropped = 0
        self.begun = threading.Event()
        self._where, self._token, self._paths = where, token, paths
        self._call: Any = None
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with channel(self._where) as opened:
            api: Any = vehicle_data_pb2_grpc.VehicleDataServiceStub(opened)
            request = pb.SubscribePartialRequest(paths=self._paths, buffer_size=1000)
            self._call = api.SubscribePartial(request, timeout=60, metadata=bearer(self._token))
            try:
                for message in self._call:
                    self.begun.set()
                    self.dropped = max(self.dropped, message.dropped)
                    for update in message.updates:
                        member = update.data_point.value.WhichOneof("typed_value")
                        if member is not None:
                            stamp = update.data_point.timestamp
                            at_ns = stamp.seconds * 10**9 + stamp.nanos
                            self.told[update.path].append(
                                (at_ns, getattr(update.data_point.value, member))
                            )
            except Exception as error:  # noqa: BLE001 - a cancelled call, or what the test then shows
                self.ended = error

    def end(self) -> None:
        self._call.cancel()
        self._thread.join(10)


def test_subscribed_values_of_a_tesla_are_those_of_an_independent_computation(tmp_path: Path):
    dbc = shared("edge/tesla_model3/it-can.dbc")
    log = shared("edge/tesla_model3/it-candump0.log")
    overlay = shared("edge/mapping/vss_4.2/dbc_overlay.vspec")
    computed = expected(dbc, overlay, log)
    bus, issuer = tmp_path / "bus.sock", Issuer(tmp_path / "issuer")
    config = tmp_path / "agent.toml"
    catalog = shared("edge/mapping/vss_4.2/vss_dbc.json")
    config.write_text(SETTINGS.format(bus=bus, dbc=dbc, catalog=catalog, overlay=overlay))
    # The log begins when two are on the bus: the agent, and this test, once it listens to the agent.
    replay = Program(
        *("vehicle-sim", "replay", "--log", log, "--to", f"unix:{bus}", "--channels", "vcan0"),
        *("--speed", "20", "--wait-for", "2"),
        log=tmp_path / "replay.log",
    ).start()
    until("the bus", bus.exists)
    agent = Program("edge-agent", "run", "--config", config, log=tmp_path / "agent.log").start()
    try:
        until("the door", lambda: not agent.is_running or "onboard_listen" in agent.said())
        where = f"unix:{tmp_path / 'data' / 'onboard.sock'}"
        paths = [*computed, "Vehicle.Gone"]
        listening = Listening(where, issuer.token("read"), paths)
        assert listening.begun.wait(10), agent.said()
        asyncio.run(heard(bus))
        replay.wait(30)
        end_ns = max(values[-1][0] for values in computed.values())
        until(
            "the last value",
            lambda: any(values[-1][0] == end_ns for values in list(listening.told.values())),
            within_s=15,
        )
        listening.end()
    finally:
        agent.close()
        replay.close()

    assert listening.dropped == 0
    assert len(computed) >= 8
    assert sum(map(len, computed.values())) > 2000
    assert listening.told.keys() == computed.keys()
    for path, values in computed.items():
        assert listening.told[path] == values, path


async def heard(bus: Path) -> None:
    """Be on the bus until it is over."""
    source = UnixBus(bus, channel=None)
    try:
        while await source.receive() is not None:
            pass
    except Unavailable:
        return
    finally:
        source.close()
