"""What is packed is what our decoder and another encoder say it is; protected frames verify and count."""

import cantools
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.database import load
from edge_agent.canbus.model import Number, Signal
from fairway.errors import BadInput
from simulators.packing import Packer, checksum
from simulators.vehicle import DATABASES, Options, Vehicle


def other(name: str) -> cantools.database.Database:
    database = cantools.database.Database()
    database.add_dbc_file(DATABASES / f"{name}.dbc")
    return database


OTHERS = {path.stem: other(path.stem) for path in sorted(DATABASES.glob("*.dbc"))}
MESSAGES = [
    (name, message)
    for name in OTHERS
    for message in load(DATABASES / f"{name}.dbc").messages
    if not any(signal.is_multiplexer for signal in message.signals)
]


def on_grid(signal: Signal) -> st.SearchStrategy[float]:
    if signal.number is Number.FLOAT:
        return st.floats(-1e6, 1e6, width=32)
    least = -(1 << signal.length - 1) if signal.number is Number.SIGNED else 0
    raw = st.integers(least, least + (1 << signal.length) - 1)
    return raw.map(lambda number: number * signal.scale + signal.offset)


@given(st.data())
def test_another_encoder_packs_the_same_bits(data: st.DataObject):
    name, message = data.draw(st.sampled_from(MESSAGES))
    strategies = {signal.name: on_grid(signal) for signal in message.signals}
    is_protected = strategies.pop("Checksum", None) is not None
    strategies.pop("Counter", None)
    values = data.draw(st.fixed_dictionaries(strategies))

    ours = Packer(message).pack(values)

    extra = {"Counter": 0.0, "Checksum": float(ours[0])} if is_protected else {}
    theirs = OTHERS[name].encode_message(message.name, values | extra, strict=False)
    assert ours.hex() == theirs.hex()


def test_the_checksum_is_the_one_of_the_standard():
    # The check value of CRC-8/SAE-J1850: the digits 1 to 9 give 0x4B.
    assert checksum(0x3231, b"\x00" + b"3456789") == 0x4B


def test_every_protected_frame_verifies_and_every_counter_advances():
    vehicle = Vehicle(Options(seed=5))
    protected = {
        (bus, message.frame_id)
        for bus, name in enumerate(("fairway_ev", "fairway_ev_fd"))
        for message in load(DATABASES / f"{name}.dbc").messages
        if message.signals[0].name == "Checksum"
    }
    counters: dict[tuple[int, int], list[int]] = {key: [] for key in protected}
    for frame in vehicle.advance(400).frames():
        key = (frame.bus, frame.can_id)
        if key in protected:
            assert frame.data[0] == checksum(frame.can_id, frame.data)
            counters[key].append(frame.data[1] & 0x0F)

    assert len(protected) >= 12
    for seen in counters.values():
        assert np.array_equal(seen, np.arange(len(seen)) % 16)


def test_bits_that_a_j1939_message_does_not_use_are_ones():
    message = next(m for m in load(DATABASES / "fairway_truck.dbc").messages if m.name == "CVW")

    payload = Packer(message, is_j1939=True).pack(
        {"PoweredVehicleWeight": 7800.0, "GrossCombinationWeight": 24000.0}
    )

    assert payload.hex() == "0c036009ffffffff"


def test_a_value_that_does_not_fit_is_refused_with_its_name():
    message = next(m for m in load(DATABASES / "fairway_truck.dbc").messages if m.name == "CVW")

    with pytest.raises(BadInput, match="PoweredVehicleWeight has no room"):
        Packer(message).pack({"PoweredVehicleWeight": 1e9})
    with pytest.raises(BadInput, match="Nonsense"):
        Packer(message).pack({"Nonsense": 1.0})
