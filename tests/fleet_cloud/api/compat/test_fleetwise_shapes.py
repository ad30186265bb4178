"""What is not as FleetWise's model says is refused with 400 and the name of its member, and never is 500."""

import json
import re
import select
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet_cloud.api.compat.fleetwise_shapes import (
    FAULTS_MAX,
    faults,
    input_shape,
    parsed,
    service,
    without_nulls,
)
from fleet_cloud.models.accounts import Account
from tests.fleet_cloud.api.compat.conftest import Door
from tests.fleet_cloud.api.compat.small import MADE, REQUESTS, filled

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

# One key for all examples, which come faster than one key may ask: each takes its own.
LOOSE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def patterned() -> list[tuple[str, str, str]]:
    """Every member of a request that is a text with a pattern: (operation, member, pattern)."""
    return [
        (operation, member, shape.metadata["pattern"])
        for operation in service().operation_names
        for member, shape in input_shape(operation).members.items()
        if shape.type_name == "string" and "pattern" in shape.metadata
    ]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([10**400, -1, 2**63, "\ud800", "\0", "a" * 5000, "arn:aws:iotfleetwise:x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def test_there_are_many_patterned_members():
    assert len(patterned()) > 50


@given(st.sampled_from(patterned()), st.text(max_size=120))
@LOOSE
def test_a_text_that_does_not_fit_its_pattern_is_refused_by_the_name_of_its_member(
    door: Door, meant: tuple[str, str, str], text: str
):
    operation, member, pattern = meant
    if re.compile(pattern, re.ASCII).fullmatch(text):
        text += "\n"
    request = {**REQUESTS.get(operation, {}), member: text}
    answer = door.ask(door.keys("admin", "shapes"), operation, request)

    assert answer.status_code == 400
    told = answer.json()
    assert (told["__type"], told["reason"]) == ("ValidationException", "fieldValidationFailed")
    assert member in [field["name"] for field in told["fieldList"]]


@given(st.sampled_from(sorted(REQUESTS)), st.data())
@LOOSE
def test_junk_in_the_place_of_any_member_is_answered_and_never_with_500(
    door: Door, operation: str, data: st.DataObject
):
    request = filled(REQUESTS[operation], Account("local", "shapes"), "SHAPES")
    member = data.draw(st.sampled_from(sorted(input_shape(operation).members) or ["x"]))
    body = json.dumps({**request, member: data.draw(JUNK)}).encode()
    answer = door.ask(door.keys("admin", "shapes"), operation, body)

    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        kinds = {shape.name for shape in service().operation_model(operation).error_shapes}
        assert answer.json()["__type"] in kinds | {"ValidationException"}
        assert answer.json()["message"]


@given(st.binary(max_size=60))
@LOOSE
def test_a_body_that_is_no_object_is_refused(door: Door, body: bytes):
    if isinstance(parsed(body), dict):
        body = b"[" + body
    answer = door.ask(door.keys("admin", "shapes"), "ListFleets", body)

    assert (answer.status_code, answer.json()["reason"]) == (400, "cannotParse")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"x":' * 50_000, b'{"x": NaN}', b"9" * 5000])
def test_a_body_that_would_exhaust_a_parser_is_refused(door: Door, body: bytes):
    answer = door.ask(door.keys("admin", "shapes"), "ListFleets", body)

    assert (answer.status_code, answer.json()["reason"]) == (400, "cannotParse")


def test_a_body_may_be_4_mib_and_no_more(door: Door):
    keys = door.keys("admin", "shapes")
    most = 4 * 1024 * 1024
    good = door.ask(keys, "ListFleets", b"{}" + b" " * (most - 2))
    over = door.ask(keys, "ListFleets", b"{}" + b" " * (most - 1))

    assert (good.status_code, over.status_code) == (200, 413)


def test_who_sends_too_much_gets_the_answer_though_it_goes_on_sending(door: Door):
    host, _, port = door.url.removeprefix("http://").partition(":")
    size = 6 * 1024 * 1024
    with socket.create_connection((host, int(port)), timeout=20) as line:
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"
        line.sendall(head.encode())
        select.select([line], [], [], 20)  # it is answered before a byte of the body has come
        line.sendall(b" " * size)
        answer = b"".join(iter(lambda: line.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the body has more than" in answer


REAL: list[tuple[str, dict[str, Any]]] = [*MADE, *REQUESTS.items()]


@pytest.mark.parametrize(("operation", "request_"), REAL, ids=lambda value: str(value)[:40])
def test_what_is_right_has_no_fault(operation: str, request_: dict[str, Any]):
    request = filled(request_, Account("local", "shapes"), "SHAPES")

    assert faults(input_shape(operation), request) == []
    assert without_nulls({**request, "nothing": None}) == request


@pytest.mark.parametrize(
    ("operation", "request_", "path", "why"),
    [
        ("CreateSignalCatalog", {}, "name", "is missing"),
        ("CreateSignalCatalog", {"name": "a", "label": 1}, "label", "is no member here"),
        ("CreateSignalCatalog", {"name": 5}, "name", "is a number, not a text"),
        (
            "CreateSignalCatalog",
            {"name": "a" * 101},
            "name",
            "has 101 characters: 100 are the most",
        ),
        ("CreateSignalCatalog", {"name": "a", "nodes": [{}]}, "nodes[0]", "has 0 of branch"),
        (
            "CreateSignalCatalog",
            {"name": "a", "nodes": [{"sensor": {"fullyQualifiedName": "V", "dataType": "INT9"}}]},
            "nodes[0].sensor.dataType",
            "is 'INT9': choose from",
        ),
        ("ListFleets", {"maxResults": 0}, "maxResults", "is below 1"),
        ("ListFleets", {"maxResults": True}, "maxResults", "not a whole number"),
        ("ListFleets", {"maxResults": 2**40}, "maxResults", "out of the range of integers"),
        ("CreateCampaign", {"startTime": -1}, "startTime", "is no time"),
        (
            "CreateVehicle",
            {"attributes": {"a b": "x"}},
            "attributes.a b",
            "does not fit the pattern",
        ),
        ("CreateVehicle", {"attributes": {"a": 1}}, "attributes.a", "is a number, not a text"),
        ("BatchCreateVehicle", {"vehicles": {}}, "vehicles", "is an object, not a list"),
        (
            "ImportDecoderManifest",
            {
                "name": "a",
                "networkFileDefinitions": [
                    {"canDbc": {"networkInterface": "1", "canDbcFiles": ["?"]}}
                ],
            },
            "networkFileDefinitions[0].canDbc.canDbcFiles[0]",
            "is no base64",
        ),
    ],
)
def test_each_fault_is_told_with_its_path(operation: str, request_: Any, path: str, why: str):
    found = {fault.path: fault.why for fault in faults(input_shape(operation), request_)}

    assert why in found[path]


def test_faults_end_somewhere():
    request = {"name": "a", "nodes": [{}] * 500}

    assert len(faults(input_shape("CreateSignalCatalog"), request)) == FAULTS_MAX
