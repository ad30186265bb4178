"""Scopes of a Velocitas AppManifest: the shapes there are, least privilege, and garbage."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.access import Action, rights_of
from edge_agent.broker.app_manifest import manifest_of
from fairway.errors import BadInput

# As the project's own examples are written: with trailing commas.
SEATS = """{
    "manifestVersion": "v3",
    "name": "seat-adjuster",
    "interfaces": [
        {
            "type": "vehicle-signal-interface",
            "config": {
                "src": "https://example.org/vss_rel_3.0.json",
                "datapoints": {
                    "required": [
                        {"path": "Vehicle.Speed", "access": "read", "optional": "true",},
                        {"path": "Vehicle.Cabin.Seat.Row1.Pos1.Position", "access": "write"},
                        {"path": "Vehicle.Cabin.Seat.Row1.Pos1.Position", "access": "read"},
                    ],
                    "provided": [{"path": "Vehicle.Cabin.Seat.Row1.Pos1.IsOccupied",}],
                }
            }
        },
        {"type": "pubsub", "config": {"reads": ["seat/request"], "writes": ["seat/response",]}},
        {"type": "grpc-interface", "config": {"src": "x.proto", "required": {"methods": ["Move"]}}}
    ]
}"""
BEFORE = {
    "name": "SeatAdjuster",
    "vehicleModel": {
        "src": "vss.json",
        "datapoints": [{"path": "Vehicle.Speed", "access": "read"}],
    },
    "runtime": ["grpc://sdv.databroker.v1.Broker/GetDatapoints"],
}


def v3(*required, **more):
    config = {"datapoints": {"required": list(required)} | more}
    return json.dumps({"interfaces": [{"type": "vehicle-signal-interface", "config": config}]})


def test_a_manifest_of_version_3_grants_what_it_names_and_nothing_else():
    manifest = manifest_of(SEATS)

    assert manifest.name == "seat-adjuster"
    assert manifest.scope.split() == [
        "read:Vehicle.Speed",
        "actuate:Vehicle.Cabin.Seat.Row1.Pos1.Position",
        "provide:Vehicle.Cabin.Seat.Row1.Pos1.IsOccupied",
    ]
    rights = rights_of(manifest.scope)
    assert rights.may(Action.READ, "Vehicle.Cabin.Seat.Row1.Pos1.Position")
    assert not rights.may(Action.ACTUATE, "Vehicle.Speed")
    assert not rights.may(Action.READ, "Vehicle.CurrentLocation.Latitude")


def test_a_manifest_of_before_is_read_too():
    assert manifest_of(json.dumps(BEFORE)).scope == "read:Vehicle.Speed"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "no JSON object"),
        ("{", "no JSON"),
        ("x: &a [*a]", "no JSON"),
        ("{}", "names no data points"),
        (json.dumps(BEFORE | {"vehicleModel": "vss.json"}), "no object"),
        (json.dumps({"interfaces": {}}), "no list"),
        (v3("Vehicle.Speed"), "no path of a signal"),
        (v3({"path": "Vehicle"}), "no path of a signal"),
        (v3({"path": "Vehicle.*"}), "no path of a signal"),
        (v3({"path": "Vehicle.Speed read"}), "no path of a signal"),
        (v3({"path": "Vehicle.Speed", "access": "all"}), "read or write"),
        (v3({"path": 'Vehicle."'}), "names no path"),
        (v3(provided={}), "no list"),
        (" " * 300_000, "at most"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(BadInput, match=sentence):
        manifest_of(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["interfaces", "type", "config", "datapoints", "required", "path", "access"]
            ),
            inner | st.sampled_from(["vehicle-signal-interface", "Vehicle.Speed", "write"]),
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.text(max_size=60), JSON.map(json.dumps)))
def test_garbage_is_refused_or_grants_scopes_that_can_be_read(text):
    try:
        manifest = manifest_of(text)
    except BadInput:
        return
    assert rights_of(manifest.scope).scopes
