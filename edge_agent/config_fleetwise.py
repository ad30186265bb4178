"""Settings of a cloud that is shaped like AWS IoT FleetWise: [uplink] dialect = "fleetwise"."""

from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.fleetwise.topics import Prefixes
from fairway.ids import vehicle_id


@dataclass(frozen=True, slots=True)
class FleetWise:
    """Who we are there, and on which topics it speaks."""

    vehicle: str = ""  # our name there; vehicle.id without
    topic_prefix: str = "$aws/iotfleetwise/"
    commands_topic_prefix: str = "$aws/commands/"
    payload_max_bytes: int = 131_072  # what AWS IoT Core takes

    def __post_init__(self) -> None:
        if self.vehicle:
            vehicle_id(self.vehicle)
        if not 4_096 <= self.payload_max_bytes <= 1_048_576:
            raise BadInput(
                f"payload_max_bytes is {self.payload_max_bytes}; choose from 4096 to 1048576"
            )
        self.prefixes()

    def prefixes(self) -> Prefixes:
        """Return the topics.  Raises BadInput."""
        return Prefixes(self.topic_prefix, self.commands_topic_prefix)
