"""An order that the vehicle refuses now is refused in every dialect, with its own word, and nothing else is."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.memory import MemoryOutlet
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.adapters.viss_service import Viss
from edge_agent.broker.claims import Expected
from edge_agent.broker.counts import OnboardCounts
from edge_agent.broker.providers import Target
from edge_agent.broker.viss_dialects import Problem, Refused
from edge_agent.broker.viss_requests import Set
from fairway.clock import SystemClock
from fairway.errors import BadInput, Conflict, Denied, FairwayError
from fairway.foreign.kuksa.val.v1 import types_pb2 as v1_types
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.foreign.sdv.databroker.v1 import broker_pb2
from fairway.foreign.sdv.databroker.v1 import types_pb2 as sdv_types
from tests.edge_agent.vehicle_api import PATHS, POSITION, served, vehicle
from tests.onboard_apps import Issuer, refusal

REFUSALS = [
    (Conflict("the car moves"), "ABORTED", 409, "INTERNAL_ERROR", Problem.UNAVAILABLE),
    (
        Denied("no entry lets it out"),
        "PERMISSION_DENIED",
        403,
        "ACCESS_DENIED",
        Problem.FORBIDDEN,
    ),
    (BadInput("no frame says it"), "INVALID_ARGUMENT", 400, "OUT_OF_BOUNDS", Problem.BAD_VALUE),
]


class Refusing(MemoryOutlet):
    """A vehicle that acts on nothing now."""

    def __init__(self, error: FairwayError) -> None:
        super().__init__()
        self._error = error

    def admit(self, targets: Sequence[Target]) -> None:
        assert targets
        raise self._error


@pytest.mark.parametrize(("error", "v2", "code", "sdv", "problem"), REFUSALS)
async def test_every_dialect_says_that_it_is_refused(tmp_path: Path, error, v2, code, sdv, problem):
    data, outlet = vehicle(), Refusing(error)
    data.providers.claim_actuators(data.providers.open_own("vehicle", outlet), [POSITION])
    async with served(tmp_path, data) as api, api.app("actuate") as app:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.actuate(PATHS[POSITION], uint32=40)
        assert refusal(refused.value) == (v2, str(error))

        entry = v1_types.DataEntry(
            path=PATHS[POSITION], actuator_target=v1_types.Datapoint(uint32=40)
        )
        update = v1.EntryUpdate(entry=entry, fields=[v1_types.FIELD_ACTUATOR_TARGET])
        answer = await app.v1.Set(v1.SetRequest(updates=[update]), **app.with_token)
        (told,) = answer.errors
        assert (told.error.code, told.error.message) == (code, str(error))

        request = broker_pb2.SetDatapointsRequest(
            datapoints={PATHS[POSITION]: sdv_types.Datapoint(uint32_value=40)}
        )
        answered = await app.sdv.SetDatapoints(request, **app.with_token)
        assert dict(answered.errors) == {
            PATHS[POSITION]: sdv_types.DatapointError.Value(sdv),
        }

        issuer, clock = Issuer(tmp_path / "viss"), SystemClock()
        verifier = Verifier(load_keys([issuer.public]), Expected(frozenset({"kuksa.val"})), clock)
        viss = Viss(Service(data, clock), verifier, OnboardCounts())
        with pytest.raises(Refused) as ended:
            viss.set(Set(PATHS[POSITION], "40"), issuer.token("actuate"))
        assert (ended.value.problem, ended.value.sentence) == (problem, str(error))

    assert outlet.take() == []
    assert POSITION not in data.actuation.asked
