"""Puts together what serves agents of AWS IoT FleetWise: the door, and its place beside the control thread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairway.clock import Clock
from fleet_cloud.adapters.addresses import BrokerAddress, fleetwise_broker
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.fleetwise_control import FleetWiseControl
from fleet_cloud.adapters.fleetwise_manifests import ManifestFiles, Model
from fleet_cloud.adapters.fleetwise_mqtt import FleetWiseDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Config
from fleet_cloud.fleetwise.ports import Fleet
from fleet_cloud.ingest.records import Quarantine


@dataclass(frozen=True, slots=True)
class Served:
    """The door, not started, and how the control thread reaches agents."""

    door: FleetWiseDoor
    control: FleetWiseControl


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What it stands in."""

    pki: FilePki
    folder: Path  # where manifests are, and are kept
    control: Control
    intake: Intake
    quarantine: Quarantine
    tenants: Callable[[], Mapping[str, str]]
    clock: Clock
    failed: Callable[[BaseException], None]
    models: Callable[[str], Model | None]  # what FleetWise's own operations have made


def serve_agents(
    config: Config, address: BrokerAddress | None, around: Surroundings
) -> Served | None:
    """Return what serves the agents at one broker; None: there are none.

    Raises BadInput for an address that cannot work.
    """
    prefixes = config.fleetwise.prefixes
    if prefixes is None or address is None:
        return None
    beside = FleetWiseControl(around.control, around.clock)
    door = FleetWiseDoor(
        fleetwise_broker(config, around.pki, address),
        prefixes=prefixes,
        fleet=Fleet(ManifestFiles(around.folder, around.tenants, around.models), beside, beside),
        intake=around.intake,
        quarantine=around.quarantine,
        tenants=around.tenants,
        clock=around.clock,
        failed=around.failed,
    )
    beside.serve(door)
    return Served(door, beside)
