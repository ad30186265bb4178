"""The control wire of services: lists, statuses and commands come out as they went in."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.control import (
    CheckIn,
    Command,
    ExecuteInService,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceList,
    ServiceOrder,
    ServiceStatus,
    StopService,
    service_sync_id,
)
from fairway.errors import BadInput
from fairway.services.states import SUBS, State, Sub
from fairway.v1 import control_pb2 as v1
from fairway.wire import control_services
from fairway.wire.compression import compressed
from fairway.wire.control import (
    from_vehicle_from_bytes,
    from_vehicle_to_bytes,
    to_vehicle_from_bytes,
    to_vehicle_to_bytes,
)

COUNT = st.integers(0, 2**63)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
TIMES = st.integers(-(2**62), 2**62)
STATES = st.sampled_from([(state, sub) for state, subs in SUBS.items() for sub in sorted(subs)])
DENIALS = st.builds(
    ServiceDenial, st.text(max_size=9), st.text(max_size=40), COUNT, TIMES, st.text(max_size=40)
)
STATUSES = STATES.flatmap(
    lambda pair: st.builds(
        ServiceStatus,
        NAMES,
        st.text(max_size=20),
        st.just(pair[0]),
        st.just(pair[1]),
        st.text(max_size=40),
        st.booleans(),
        COUNT,
        st.text(max_size=20),
        st.lists(st.text(max_size=9), max_size=3).map(tuple),
        st.sampled_from(["", "sha256:" + "a" * 64]),
        st.booleans(),
        st.lists(DENIALS, max_size=3).map(tuple),
        COUNT,
    )
)
CHECK_INS = st.builds(
    CheckIn,
    st.just("1"),
    TIMES,
    services_revision=st.none() | COUNT,
    services=st.lists(STATUSES, max_size=4).map(tuple),
)
JSON = st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=30), max_size=5)
ORDERS = JSON.map(json.dumps).map(lambda text: ServiceOrder(service_sync_id(text), text))
LISTS = st.builds(
    ServiceList,
    COUNT,
    st.lists(ORDERS, max_size=4).map(tuple),
    st.sampled_from(["", "grpcs://c:1"]),
)
ARGV = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1
)
WHATS = st.one_of(
    st.builds(FetchServiceLogs, NAMES, st.integers(0, 2**32 - 1)),
    st.builds(ExplainService, NAMES),
    st.builds(RestartService, NAMES),
    st.builds(StopService, NAMES),
    st.builds(ExecuteInService, NAMES, ARGV.map(tuple), st.integers(0, 2**32 - 1)),
)


@given(CHECK_INS)
def test_what_a_vehicle_says_of_services_is_heard_as_it_was_said(check_in):
    assert from_vehicle_from_bytes(from_vehicle_to_bytes(check_in)) == check_in


@given(LISTS | st.builds(Command, IDS, TIMES, WHATS))
def test_what_the_cloud_says_of_services_is_heard_as_it_was_said(noun):
    assert to_vehicle_from_bytes(to_vehicle_to_bytes(noun)) == noun


@given(st.binary(max_size=200))
def test_garbage_in_the_place_of_services_raises_nothing_but_bad_input(data):
    with suppress(BadInput):
        to_vehicle_from_bytes(b"\x2a" + bytes([len(data) % 128]) + data)  # field 5: services
    with suppress(BadInput):
        from_vehicle_from_bytes(b"\x0a" + bytes([len(data) % 128]) + data)


def test_a_vehicle_of_an_earlier_version_runs_no_services():
    before = v1.ControlRequest(check_in=v1.CheckIn(agent_version="0.5", campaigns_revision=3))

    heard = from_vehicle_from_bytes(before.SerializeToString())

    assert isinstance(heard, CheckIn)
    assert (heard.services_revision, heard.services) == (None, ())


def test_a_vehicle_that_was_told_of_no_services_yet_says_that_it_runs_them():
    heard = from_vehicle_from_bytes(from_vehicle_to_bytes(CheckIn("1", 1, services_revision=0)))

    assert isinstance(heard, CheckIn)
    assert heard.services_revision == 0


def test_a_cloud_of_an_earlier_version_reads_the_check_in_without_its_services():
    status = ServiceStatus("battery", "1.0.0", State.RUNNING, Sub.OK)
    said = v1.ControlRequest.FromString(
        from_vehicle_to_bytes(
            CheckIn("1", 1, campaigns_revision=3, services_revision=2, services=(status,))
        )
    )
    for field in ("services_revision", "services"):  # unknown to it: it keeps and ignores them
        said.check_in.ClearField(field)

    heard = from_vehicle_from_bytes(said.SerializeToString())

    assert heard == CheckIn("1", 1, campaigns_revision=3)


def test_only_the_last_denials_travel_and_a_vehicle_of_an_earlier_version_tells_none():
    many = tuple(ServiceDenial("read", f"Vehicle.{number}" + "x" * 500) for number in range(99))
    status = ServiceStatus("battery", "1", State.RUNNING, Sub.OK, denials=many, denied=99)
    said = v1.ControlRequest.FromString(
        from_vehicle_to_bytes(CheckIn("1", 1, services_revision=2, services=(status,)))
    )

    heard = from_vehicle_from_bytes(said.SerializeToString())
    for field in ("denials", "denied"):
        said.check_in.services[0].ClearField(field)
    earlier = from_vehicle_from_bytes(said.SerializeToString())

    assert isinstance(heard, CheckIn)
    assert isinstance(earlier, CheckIn)
    assert [one.what[:10] for one in heard.services[0].denials] == [
        f"Vehicle.{number}x" for number in range(8)
    ]
    assert (len(heard.services[0].denials[0].what), heard.services[0].denied) == (200, 99)
    assert (earlier.services[0].denials, earlier.services[0].denied) == ((), 0)


def manifest(text: bytes, sync_id: str) -> v1.ServiceManifest:
    return v1.ServiceManifest(sync_id=sync_id, json=compressed(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"[]", "no JSON object"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"name": "other"}', "not the one that its sync id names"),
        (b'"' + b"a" * 300_000 + b'"', "more than 262144 bytes"),
    ],
)
def test_a_manifest_that_cannot_be_read_does_not_cost_the_others(text, sentence):
    good = '{"name": "battery"}'
    message = v1.ControlResponse()
    message.services.revision = 3
    message.services.services.append(manifest(text, "ab" * 32))
    message.services.services.append(manifest(good.encode(), service_sync_id(good)))

    heard = to_vehicle_from_bytes(message.SerializeToString())

    assert isinstance(heard, ServiceList)
    assert [order.manifest for order in heard.services] == [good]
    ((sync_id, reason),) = heard.unreadable
    assert sync_id == "ab" * 32
    assert sentence in reason


def test_a_list_that_is_large_as_a_whole_is_read_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(control_services, "MANIFESTS_MAX_BYTES", 50)
    texts = [json.dumps({"name": "a" * 20, "n": number}) for number in range(3)]
    listed = ServiceList(1, tuple(ServiceOrder(service_sync_id(one), one) for one in texts))

    heard = to_vehicle_from_bytes(to_vehicle_to_bytes(listed))

    assert isinstance(heard, ServiceList)
    assert [order.manifest for order in heard.services] == texts[:1]
    assert len(heard.unreadable) == 2


def test_a_service_in_a_state_of_a_later_version_is_left_out():
    message = v1.ControlRequest()
    message.check_in.services.add(name="a", state=v1.SERVICE_STATE_RUNNING, sub_state="Humming")
    message.check_in.services.add(name="b", state=99)

    heard = from_vehicle_from_bytes(message.SerializeToString())

    assert isinstance(heard, CheckIn)
    assert [(one.name, one.state, one.sub) for one in heard.services] == [
        ("a", State.RUNNING, Sub.NONE)
    ]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (v1.Command(restart_service=v1.RestartService(service="../x")), "a service is called"),
        (v1.Command(execute_in_service=v1.ExecuteInService(service="a")), "no command"),
        (
            v1.Command(execute_in_service=v1.ExecuteInService(service="a", argv=["x"] * 65)),
            "at most 64",
        ),
        (
            v1.Command(execute_in_service=v1.ExecuteInService(service="a", argv=["a\0b"])),
            "zero byte",
        ),
    ],
)
def test_a_command_that_no_service_can_take_is_bad(command, sentence):
    command.id = "c1"
    with pytest.raises(BadInput, match=sentence):
        to_vehicle_from_bytes(v1.ControlResponse(command=command).SerializeToString())


def test_too_many_services_are_a_mistake():
    message = v1.ControlResponse()
    message.services.services.extend([v1.ServiceManifest()] * 513)

    with pytest.raises(BadInput, match="over the limit of 512"):
        to_vehicle_from_bytes(message.SerializeToString())
