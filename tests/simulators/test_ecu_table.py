"""Tables of simulated ECUs are read as FleetWise has them; what is none is refused with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from simulators.ecu_table import TABLE_MAX_BYTES, Code, Pid, load_tables, tables_of
from tests.shared_data import shared

FILES = [
    "obd_config.json",
    "obd_config_sample.json",
    "obd_config_sample_29bit.json",
    "obd_config_sample_broadcast.json",
]


@pytest.mark.parametrize("name", FILES)
def test_every_table_of_fleetwise_is_read_as_it_is(name):
    path = shared("edge/fleetwise/obd") / name
    tree = json.loads(path.read_text())
    tables = load_tables(path)

    assert [table.name for table in tables] == ["engine", "transmission"]
    for table, one in zip(tables, tree["ecus"], strict=True):
        assert table.response_id == int(one["tx_id"], 16)
        assert list(table.pids) == list(one["pids"])
        assert list(table.codes) == list(one["dtcs"])
        assert table.padding == 0
        assert table.only_functional is one.get("require_broadcast_requests", False)
        assert table.ignores_unknown is one.get("ignore_unsupported_pid_requests", False)


def test_ids_of_11_bits_are_those_of_iso_15765_4():
    engine, transmission = load_tables(shared("edge/fleetwise/obd/obd_config.json"))

    assert (engine.request_id, engine.functional_id, engine.is_extended) == (0x7E0, 0x7DF, False)
    assert (transmission.request_id, transmission.response_id) == (0x7E1, 0x7E9)


def test_ids_of_29_bits_are_those_of_iso_15765_4():
    engine, _ = load_tables(shared("edge/fleetwise/obd/obd_config_sample_29bit.json"))

    assert (engine.request_id, engine.functional_id) == (0x18DA58F1, 0x18DB33F1)
    assert engine.is_extended


def test_parameters_and_codes_are_of_their_kinds():
    engine, _ = load_tables(shared("edge/fleetwise/obd/obd_config_sample.json"))

    assert engine.pids["ENGINE_SPEED"] == Pid(0x0C, 2, 4.0, 0.0)
    assert engine.pids["EVAP_SYSTEM_VAPOR_PRESSURE_A"].is_signed
    assert engine.pids["CUSTOM_DOUBLE"].is_float
    assert engine.codes["ECM_DTC1"] == Code(0x0123, is_uds=False)
    assert engine.codes["ECM_DTC3"] == Code(0xAAA123, is_uds=True)


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ([], "has no list of ECUs"),
        ({"ecus": []}, "has no list of ECUs"),
        ({"ecus": [1]}, "an ECU is no object"),
        ({"ecus": [{"tx_id": "0x7E8"}]}, "an ECU has no name"),
        ({"ecus": [{"name": "a"}]}, "the ECU a: tx_id is None"),
        ({"ecus": [{"name": "a", "tx_id": "0x123"}]}, "tx_id 0x123 is not 0x7E8 to 0x7EF"),
        ({"ecus": [{"name": "a", "tx_id": "0x7E8"}] * 2}, "two ECUs have the same name"),
        (
            {"ecus": [{"name": "a", "tx_id": "0x7E8", "dtcs": {"D": {"num": "0x12345"}}}]},
            "the ECU a: D: num is '0x12345'",
        ),
        (
            {"ecus": [{"name": "a", "tx_id": "0x7E8", "dtcs": {"D": {"num": "1", "type": "X"}}}]},
            "its type is 'X'",
        ),
        (
            {"ecus": [{"name": "a", "tx_id": "0x7E8", "pids": {"P": {"num": "1", "size": 9}}}]},
            "its size is 9",
        ),
        (
            {"ecus": [{"name": "a", "tx_id": "0x7E8", "pids": {"P": {"num": "1", "scale": "x"}}}]},
            "'x' is no scale or offset",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(tree, sentence):
    with pytest.raises(BadInput, match=sentence):
        tables_of(tree, "the file")


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ecus", "name", "tx_id", "pids", "dtcs", "num", "size", "type"]), inner
        )
    ),
)


@given(trees)
def test_garbage_is_refused_in_a_sentence(tree):
    for spoilt in (
        tree,
        {"ecus": [tree]},
        {"ecus": [{"name": "a", "tx_id": "0x7E8", "pids": tree, "dtcs": tree}]},
        {"ecus": [{"name": "a", "tx_id": "0x7E8", "pids": {"P": tree}, "dtcs": {"D": tree}}]},
    ):
        try:
            tables_of(spoilt, "the file")
        except BadInput as error:
            assert str(error)  # noqa: PT017 - nearly all of garbage is refused


def test_a_file_that_is_not_there_or_not_json_is_named(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "large.json").write_bytes(b" " * TABLE_MAX_BYTES + b"{}")

    for name in ("none.json", "bad.json", "large.json"):
        with pytest.raises(BadInput, match=name):
            load_tables(tmp_path / name)
