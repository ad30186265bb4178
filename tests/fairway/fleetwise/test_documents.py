"""Documents of FleetWise's API: every real one comes out as it went in, and becomes a manifest."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.fleetwise.decoders import Primitive
from fairway.fleetwise.documents import (
    CanDecoder,
    Node,
    SignalDecoder,
    decoders_document,
    decoders_of,
    interfaces_document,
    interfaces_of,
    nodes_document,
    nodes_of,
)
from fairway.fleetwise.manifests import manifest_of
from fairway.fleetwise.names import names_of
from fairway.wire.fleetwise.decoders import manifest_from_bytes, manifest_to_bytes
from tests.shared_data import shared

NODES = [
    "decoders/custom-nodes-can-actuators.json",
    "decoders/custom-nodes-histogram.json",
    "decoders/custom-nodes-location.json",
    "decoders/custom-nodes-multi-rising-edge-trigger.json",
    "decoders/custom-nodes-someip.json",
    "decoders/custom-nodes-uds-dtc.json",
    "decoders/vehicle-node.json",
    "obd/obd-nodes.json",
]
DECODERS = [
    "decoders/custom-decoders-can-actuators.json",
    "decoders/custom-decoders-histogram.json",
    "decoders/custom-decoders-location.json",
    "decoders/custom-decoders-multi-rising-edge-trigger.json",
    "decoders/custom-decoders-someip.json",
    "decoders/custom-decoders-uds-dtc.json",
    "obd/obd-decoders.json",
]
INTERFACES = [
    "decoders/network-interface-can.json",
    "decoders/network-interface-custom-can-actuators.json",
    "decoders/network-interface-custom-location.json",
    "decoders/network-interface-custom-named-signal.json",
    "decoders/network-interface-custom-someip.json",
    "decoders/network-interface-custom-uds-dtc.json",
    "decoders/network-interface-obd.json",
    "decoders/network-interface-ros2.json",
]


def real(name):
    return json.loads(shared(f"edge/fleetwise/{name}").read_text())


@pytest.mark.parametrize("name", NODES)
def test_real_nodes_come_out_as_they_went_in(name):
    document = real(name)

    assert nodes_document(nodes_of(document)) == document


@pytest.mark.parametrize("name", DECODERS)
def test_real_decoders_come_out_as_they_went_in(name):
    document = real(name)

    assert decoders_document(decoders_of(document)) == document


@pytest.mark.parametrize("name", INTERFACES)
def test_real_interfaces_come_out_as_they_went_in(name):
    document = real(name)

    assert interfaces_document(interfaces_of(document)) == document


def test_no_real_document_is_forgotten():
    found = {f"decoders/{path.name}" for path in shared("edge/fleetwise/decoders").glob("*.json")}

    assert found | {"obd/obd-nodes.json", "obd/obd-decoders.json"} == {
        *NODES,
        *DECODERS,
        *INTERFACES,
    }


def test_real_decoders_become_a_manifest_that_an_agent_can_read():
    decoders = [one for name in DECODERS for one in decoders_of(real(name))]
    nodes = [one for name in NODES for one in nodes_of(real(name))]

    made = manifest_of("vehicle", decoders, nodes)

    assert manifest_from_bytes(manifest_to_bytes(made.manifest)) == made.manifest
    assert len(made.called) == len(decoders)
    assert manifest_of("vehicle", decoders[::-1], nodes) == made
    names = names_of(made.manifest, made.called)
    number = names.id("Vehicle.actuator6")
    assert (
        next(one for one in made.manifest.custom if one.id == number).primitive is Primitive.INT32
    )
    speed = names.id("Vehicle.OBD.Speed")
    assert next(one for one in made.manifest.obd if one.id == speed).pid == 13


def test_a_manifest_is_called_by_its_content():
    one = SignalDecoder("Vehicle.Speed", "1", CanDecoder(1, True, False, 8, 0.0, 1.0, 8))  # noqa: FBT003
    other = SignalDecoder("Vehicle.Speed", "1", CanDecoder(1, True, False, 8, 0.0, 2.0, 8))  # noqa: FBT003
    speed = Node("sensor", "Vehicle.Speed", "DOUBLE")

    ids = {
        manifest_of("m", [one], []).manifest.sync_id,
        manifest_of("m", [other], []).manifest.sync_id,
        manifest_of("m", [one], [speed]).manifest.sync_id,
    }

    assert len(ids) == 3
    assert all(one.startswith("m@") for one in ids)


STRUCTURED = {
    "fullyQualifiedName": "Vehicle.Camera",
    "interfaceId": "10",
    "type": "MESSAGE_SIGNAL",
    "messageSignal": {
        "topicName": "/camera",
        "structuredMessage": {"structuredMessageDefinition": [{"fieldName": "x"}]},
    },
}


def test_a_structured_message_is_kept_and_left_out_of_manifests():
    (decoder,) = decoders_of([STRUCTURED])

    assert decoders_document([decoder]) == [STRUCTURED]
    assert manifest_of("m", [decoder], []).left_out == (
        "Vehicle.Camera is a structured message, which is not read here",
    )


def test_a_signal_with_two_decoders_is_refused():
    with pytest.raises(BadInput, match="Vehicle.Camera has two decoders"):
        manifest_of("m", decoders_of([STRUCTURED, STRUCTURED]), [])


@pytest.mark.parametrize(
    ("read", "document", "reason"),
    [
        (nodes_of, {}, "no list"),
        (nodes_of, [{"leaf": {}}], r"\[0\]: a node is one of branch"),
        (nodes_of, [{"sensor": {}}], r"\[0\].sensor.fullyQualifiedName: is missing"),
        (nodes_of, [{"sensor": {"fullyQualifiedName": "a", "size": 1}}], "there is no such field"),
        (nodes_of, [{"branch": {"fullyQualifiedName": "x" * 151}}], "fullyQualifiedName"),
        (
            decoders_of,
            [{"fullyQualifiedName": "a", "interfaceId": "1", "type": "X"}],
            "choose from CAN_SIGNAL",
        ),
        (
            decoders_of,
            [
                {
                    "fullyQualifiedName": "a",
                    "interfaceId": "1",
                    "type": "CAN_SIGNAL",
                    "canSignal": {"messageId": 1},
                }
            ],
            r"\[0\].canSignal.isBigEndian: is missing",
        ),
        (
            decoders_of,
            [
                {
                    "fullyQualifiedName": "a",
                    "interfaceId": "1",
                    "type": "CAN_SIGNAL",
                    "canSignal": {"isSigned": 1},
                }
            ],
            "isSigned: must be true or false, not 1",
        ),
        (
            interfaces_of,
            [{"interfaceId": "1", "type": "CAN_INTERFACE"}],
            "canInterface: is missing",
        ),
    ],
)
def test_an_error_begins_with_the_path_of_the_field(read, document, reason):
    with pytest.raises(BadInput, match=reason):
        read(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["sensor", "type", "interfaceId", "canSignal", "fullyQualifiedName", "min"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3) | JSON)
def test_garbage_is_a_document_or_bad_input(document):
    for read in (nodes_of, decoders_of, interfaces_of):
        with suppress(BadInput):
            read(document)
