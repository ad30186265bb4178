"""The vehicle-data API for the on-board door: KUKSA's two versions, and what they have no place for."""

from edge_agent.adapters.actuators import Actuators
from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.kuksa_v1 import KuksaV1
from edge_agent.adapters.kuksa_v2 import KuksaV2
from edge_agent.adapters.onboard_grpc import AddService
from edge_agent.adapters.onboard_states import OnboardStates
from edge_agent.adapters.vehicle_data import VehicleDataApi
from edge_agent.broker.vehicle import VehicleData
from fairway.clock import Clock


def services_of(
    data: VehicleData, clock: Clock, actuators: Actuators | None = None
) -> tuple[AddService, ...]:
    """Return what the door adds to its server."""
    service = Service(data, clock)
    return (
        KuksaV2(service).add,
        KuksaV1(service).add,
        OnboardStates(service).add,
        VehicleDataApi(service, actuators).add,
    )
