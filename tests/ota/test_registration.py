"""ECUs are registered as they are; garbage is refused in a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from ota.registration import Registered, ecus_from_json, ecus_to_json

names = st.text(st.characters(codec="ascii"), min_size=1, max_size=20)


@given(st.dictionaries(names, st.tuples(names, st.text(st.characters(codec="ascii"))), min_size=1))
def test_ecus_survive_the_way(some):
    first = next(iter(some))
    ecus = tuple(
        Registered(serial, hardware, key, is_primary=serial == first)
        for serial, (hardware, key) in some.items()
    )

    assert ecus_from_json(ecus_to_json(ecus)) == ecus


@given(st.binary(max_size=100))
def test_garbage_is_refused(data):
    with pytest.raises(BadInput):
        ecus_from_json(data)


@pytest.mark.parametrize(
    "ecus",
    [
        [],
        [{"ecu_serial": "S", "hardware_identifier": "h"}],
        [{"ecu_serial": "P", "hardware_identifier": "h"}] * 2,
        [{"ecu_serial": "P", "hardware_identifier": ""}],
        [{"ecu_serial": "P", "hardware_identifier": 7}],
        [{"ecu_serial": "P", "hardware_identifier": "h", "clientKey": {"keyval": {"public": 1}}}],
        [{"ecu_serial": "P", "hardware_identifier": "h", "clientKey": 7}],
        "P",
    ],
)
def test_a_list_that_cannot_be_is_refused(ecus):
    with pytest.raises(BadInput):
        ecus_from_json(json.dumps({"primary_ecu_serial": "P", "ecus": ecus}).encode())
