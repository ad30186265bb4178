"""Whatever an app sends ends in an answer, or in one of the errors that become a code."""

import asyncio
from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.kuksa_provider import ProviderStream
from edge_agent.adapters.kuksa_service import Ended, Service
from edge_agent.adapters.kuksa_v1 import KuksaV1
from edge_agent.adapters.kuksa_v2 import KuksaV2
from edge_agent.adapters.onboard_calls import _GRANT, SOCKET
from edge_agent.adapters.onboard_states import OnboardStates
from fairway.clock import ManualClock
from fairway.errors import FairwayError
from fairway.foreign.kuksa.val.v1 import types_pb2 as v1_types
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2
from fairway.v1 import onboard_pb2
from tests.edge_agent.vehicle_api import PATHS, acts_on, claims, target, values, vehicle

signal = st.one_of(
    st.builds(types_pb2.SignalID, path=st.one_of(st.sampled_from(PATHS), st.text(max_size=9))),
    st.builds(types_pb2.SignalID, id=st.integers(-(2**31), 2**31 - 1)),
)
SEEDS = [
    values(1, s0={"float": 1.0}, s4={"string": "ON"}, s77={"bool": True}),
    values(2, s6={"string_array": types_pb2.StringArray(values=["a"])}),
    claims(0, 4, 6),
    acts_on(*PATHS[:3]),
]


def mutated(message):
    """Give encoded messages with some bytes replaced."""
    data = message.SerializeToString()
    place = st.tuples(st.integers(0, max(0, len(data) - 1)), st.integers(0, 255))

    def replaced(places):
        made = bytearray(data)
        for at, byte in places:
            made[at : at + 1] = bytes([byte])
        return bytes(made)

    return st.lists(place, max_size=4).map(replaced)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), *map(mutated, SEEDS)), max_size=6))
def test_a_provider_may_say_anything(messages):
    async def say():
        service = Service(vehicle(), ManualClock())
        stream = ProviderStream(service, SOCKET)
        for message in messages:
            try:
                stream._answer(val_pb2.OpenProviderStreamRequest.FromString(message))
            except DecodeError:
                continue
            except (FairwayError, Ended):
                break
        service.data.leave(stream._provider)
        assert len(service.data.providers) == 0

    token = _GRANT.set(SOCKET)
    try:
        asyncio.run(say())
    finally:
        _GRANT.reset(token)


entry = st.builds(
    v1_types.DataEntry,
    path=st.one_of(st.sampled_from(PATHS), st.text(max_size=9)),
    value=st.builds(v1_types.Datapoint, float=st.floats(width=32)),
    actuator_target=st.builds(v1_types.Datapoint, uint32=st.integers(0, 300)),
)
requests = st.one_of(
    st.builds(
        v1.SetRequest,
        updates=st.lists(
            st.builds(
                v1.EntryUpdate, entry=entry, fields=st.lists(st.sampled_from([0, 1, 2, 3, 10]))
            ),
            max_size=3,
        ),
    ),
    st.builds(
        v1.GetRequest,
        entries=st.lists(
            st.builds(
                v1.EntryRequest,
                path=st.text(alphabet='Vehicl.*Sp"', max_size=12),
                view=st.sampled_from([0, 1, 2, 3, 10, 20]),
            ),
            max_size=3,
        ),
    ),
    st.builds(val_pb2.GetValuesRequest, signal_ids=st.lists(signal, max_size=3)),
    st.builds(val_pb2.ListMetadataRequest, root=st.text(max_size=20)),
    st.builds(
        val_pb2.PublishValueRequest,
        signal_id=signal,
        data_point=st.builds(
            types_pb2.Datapoint, value=st.builds(types_pb2.Value, float=st.floats(width=32))
        ),
    ),
    st.builds(
        val_pb2.BatchActuateRequest,
        actuate_requests=st.lists(
            st.sampled_from(
                [target(PATHS[2], bool=True), target(PATHS[3], uint32=999), target("x")]
            )
        ),
    ),
    st.builds(onboard_pb2.GetStatesRequest, paths=st.lists(st.text(max_size=9), max_size=3)),
    st.builds(onboard_pb2.GetHistoryRequest, path=st.sampled_from([*PATHS, ""])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(requests, max_size=6))
def test_a_call_may_ask_anything(asked):
    service = Service(vehicle(), ManualClock())
    old, new, own = KuksaV1(service), KuksaV2(service), OnboardStates(service)
    handlers: dict[Any, Any] = {
        v1.SetRequest: old._set,
        v1.GetRequest: old._get,
        val_pb2.GetValuesRequest: new._get_values,
        val_pb2.ListMetadataRequest: new._list_metadata,
        val_pb2.PublishValueRequest: new._publish_value,
        val_pb2.BatchActuateRequest: new._batch_actuate,
        onboard_pb2.GetStatesRequest: own._get_states,
        onboard_pb2.GetHistoryRequest: own._get_history,
    }

    async def ask():
        for request in asked:
            try:
                answer = await handlers[type(request)](request, None)
            except (FairwayError, Ended):
                continue
            assert isinstance(answer.SerializeToString(), bytes)

    token = _GRANT.set(SOCKET)
    try:
        asyncio.run(ask())
    finally:
        _GRANT.reset(token)
