"""The only speller of FleetWise's topics.

    <fleetwise>vehicles/<vehicle>/checkins                            up     Checkin
    <fleetwise>vehicles/<vehicle>/signals                             up     VehicleData
    <fleetwise>vehicles/<vehicle>/last_known_states/data              up     StateData
    <fleetwise>vehicles/<vehicle>/collection_schemes                  down   SchemeList
    <fleetwise>vehicles/<vehicle>/decoder_manifests                   down   DecoderManifest
    <fleetwise>vehicles/<vehicle>/last_known_states/config            down   StateTemplateChange
    <commands>things/<vehicle>/executions/<id>/request/protobuf       down   CommandRequest
    <commands>things/<vehicle>/executions/<id>/response/protobuf      up     CommandResponse

The prefixes are settings of an agent: iotFleetWiseTopicPrefix, commandsTopicPrefix and jobsTopicPrefix.  Its
defaults begin with a $, which Mosquitto and nats-server carry like any other; AWS IoT Core has them for itself.

Rule 1: an agent that was built with jobs does not check in before it hears its jobs' topics too: it may listen
        to them, though nobody speaks there.
"""

import re
from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.ids import vehicle_id

_PREFIX = re.compile(r"(\$?[A-Za-z0-9_-]+/)+")
_COMMAND = re.compile(r"[A-Za-z0-9_-]{1,64}")
# The agent has no setting for this one.
_JOB_ENDS = "$aws/events/job/+/cancellation_in_progress"
_UP = ("checkins", "signals", "last_known_states/data")
_DOWN = ("collection_schemes", "decoder_manifests", "last_known_states/config")


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What topics begin with; the defaults are the agent's."""

    fleetwise: str = "$aws/iotfleetwise/"
    commands: str = "$aws/commands/"
    jobs: str = "$aws/things/"

    def __post_init__(self) -> None:
        for prefix in (self.fleetwise, self.commands, self.jobs):
            if not _PREFIX.fullmatch(prefix) or prefix.startswith(("$SYS", "$share", "$CONTROL")):
                raise BadInput(
                    f"{prefix!r:.80} begins no topics: write words and slashes, a slash at the end, as in"
                    " fleetwise/"
                )
        if self.fleetwise.startswith("fairway/v1/") or self.commands.startswith("fairway/v1/"):
            raise BadInput("fairway/v1/ begins topics of our own: choose another prefix")

    def checkins(self, vehicle: str) -> str:
        """Where an agent says which documents it has."""
        return self._own(vehicle, "checkins")

    def signals(self, vehicle: str) -> str:
        """Where an agent sends events."""
        return self._own(vehicle, "signals")

    def state_data(self, vehicle: str) -> str:
        """Where an agent reports last known states."""
        return self._own(vehicle, "last_known_states/data")

    def schemes(self, vehicle: str) -> str:
        """Where an agent is told its campaigns."""
        return self._own(vehicle, "collection_schemes")

    def manifests(self, vehicle: str) -> str:
        """Where an agent is told what signals are."""
        return self._own(vehicle, "decoder_manifests")

    def state_config(self, vehicle: str) -> str:
        """Where an agent is told its state templates."""
        return self._own(vehicle, "last_known_states/config")

    def request(self, vehicle: str, command: str) -> str:
        """Where an agent is told a command; `+` for any."""
        return f"{self.commands}things/{vehicle}/executions/{command}/request/protobuf"

    def response(self, vehicle: str, command: str) -> str:
        """Where an agent says what became of a command; `+` for any."""
        return f"{self.commands}things/{vehicle}/executions/{command}/response/protobuf"

    def up(self, vehicle: str) -> tuple[str, ...]:
        """Return the filters of all that an agent sends; `+` for every vehicle."""
        return (*(self._own(vehicle, one) for one in _UP), self.response(vehicle, "+"))

    def down(self, vehicle: str) -> tuple[str, ...]:
        """Return the filters of all that an agent is told; `+` for every vehicle."""
        return (*(self._own(vehicle, one) for one in _DOWN), self.request(vehicle, "+"))

    def heard(self, vehicle: str) -> tuple[str, ...]:
        """Return the filters that an agent insists on hearing, beside those where somebody speaks."""
        executions = f"{self.commands}things/{vehicle}/executions/+/response"
        return (
            f"{executions}/accepted/protobuf",
            f"{executions}/rejected/protobuf",
            f"{self.jobs}{vehicle}/jobs/#",
            _JOB_ENDS,
        )

    def sender(self, topic: str) -> tuple[str, str]:
        """Return whose topic this is, and what it carries: one of `_UP`, or "answer".  Raises BadInput."""
        own = topic.removeprefix(f"{self.fleetwise}vehicles/")
        if own != topic:
            vehicle, _, what = own.partition("/")
            if what in _UP:
                return vehicle_id(vehicle), what
        execution = topic.removeprefix(f"{self.commands}things/")
        parts = execution.split("/")
        is_answer = len(parts) == 5 and (parts[1], *parts[3:]) == (
            "executions",
            "response",
            "protobuf",
        )
        if execution != topic and is_answer and _COMMAND.fullmatch(parts[2]):
            return vehicle_id(parts[0]), "answer"
        raise BadInput(f"{topic[:120]!r} is no topic of an agent of FleetWise")

    def _own(self, vehicle: str, what: str) -> str:
        return f"{self.fleetwise}vehicles/{vehicle}/{what}"
