"""The real minute of a RAV4, decoded directly: what the store must hold, to the bit and to the nanosecond."""

import io
import json
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa

from edge_agent.adapters.log_formats import open_log
from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.plan import BusDatabases, compile_plan
from tests.e2e.scene import asked
from tests.shared_data import shared

Rows = dict[str, tuple[np.ndarray, np.ndarray]]  # signal -> times, values; in order of both

LOG = "can/logs/comma2k19-rav4/rav4-60s.candump.log.xz"
DATABASES = {
    "can0": "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc",
    "can1": "can/dbc/opendbc/toyota_adas.dbc",
}


def log_file() -> Path:
    """Return the log of both buses."""
    return shared(LOG)


def direct_decode() -> Rows:
    """Decode the whole log without agent, wire or store."""
    plan = compile_plan(
        [BusDatabases(name, (database.load(shared(path)),)) for name, path in DATABASES.items()]
    )
    decoder = make_decoder(plan)
    number, time_ns, value = [], [], []
    for block in open_log(log_file(), {name: index for index, name in enumerate(DATABASES)}):
        decoded = decoder.decode(block)
        number.append(decoded.signal.copy())
        time_ns.append(block.time_ns[decoded.frame])
        value.append(decoded.value.copy())
    return _by_signal(
        [signal.name for signal in plan.signals],
        np.concatenate(number),
        np.concatenate(time_ns),
        np.concatenate(value),
    )


def stored(api: str, vehicle: str, key: str) -> Rows:
    """Read everything the cloud has of `vehicle`, through its API."""
    rows = {}
    for name in signals(api, vehicle, key):
        path = f"/v1/vehicles/{vehicle}/signals/{urllib.parse.quote(name)}/series"
        wanted = asked(f"{api}{path}?limit=1000000&format=arrow", key)
        with urllib.request.urlopen(wanted, timeout=30) as answer:
            assert 'rel="next"' not in answer.headers.get("Link", "")
            table = pa.ipc.open_stream(io.BytesIO(answer.read())).read_all()
        rows[name] = _ordered(
            table.column(0).to_numpy().astype(np.int64), table.column("value").to_numpy()
        )
    return rows


def signals(api: str, vehicle: str, key: str) -> list[str]:
    """Return the names of the signals the cloud has of `vehicle`."""
    wanted = asked(f"{api}/v1/vehicles/{vehicle}/signals", key)
    with urllib.request.urlopen(wanted, timeout=30) as answer:
        return [entry["signal"] for entry in json.loads(answer.read())["signals"]]


def differences(found: Rows, expected: Rows) -> list[str]:
    """Return what is missing, too much or otherwise, by signal; empty when all is equal."""
    said = [f"{name}: missing" for name in expected.keys() - found.keys()]
    said += [f"{name}: not expected" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        times, values = found[name]
        want_times, want_values = expected[name]
        if len(times) != len(want_times):
            said.append(f"{name}: {len(times)} rows instead of {len(want_times)}")
        elif not np.array_equal(times, want_times):
            said.append(f"{name}: other times")
        elif not np.array_equal(values.view(np.int64), want_values.view(np.int64)):
            said.append(f"{name}: other values")
    return said


def count(rows: Rows) -> int:
    """Return how many rows there are in all."""
    return sum(len(times) for times, _ in rows.values())


def _by_signal(
    names: list[str], number: np.ndarray, time_ns: np.ndarray, value: np.ndarray
) -> Rows:
    order = np.argsort(number, kind="stable")
    number, time_ns, value = number[order], time_ns[order], value[order]
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(starts[1:], len(number))
    return {
        names[number[start]]: _ordered(time_ns[start:end], value[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _ordered(time_ns: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Frames of one receive batch share a stamp: their order among equals is nobody's promise.
    order = np.lexsort((value, time_ns))
    return time_ns[order], value[order]
