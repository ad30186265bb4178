"""The vehicle-data API for the on-board door: KUKSA's versions, Velocitas', and what they have no place for."""

from edge_agent.adapters.actuators import Actuators
from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.kuksa_v1 import KuksaV1
from edge_agent.adapters.kuksa_v2 import KuksaV2
from edge_agent.adapters.onboard_grpc import AddService
from edge_agent.adapters.onboard_states import OnboardStates
from edge_agent.adapters.sdv_broker import SdvBroker
from edge_agent.adapters.vehicle_data import VehicleDataApi
from edge_agent.broker.vehicle import VehicleData
from fairway.clock import Clock


def services_of(
    data: VehicleData,
    clock: Clock,
    actuators: Actuators | None = None,
    service: Service | None = None,
) -> tuple[AddService, ...]:
    """Return what the door adds to its server; `service` is what other doors serve too."""
    service = service or Service(data, clock)
    return (
        KuksaV2(service).add,
        KuksaV1(service).add,
        SdvBroker(service).add,
        OnboardStates(service).add,
        VehicleDataApi(service, actuators).add,
    )
