"""Agents of FleetWise, for the control thread: vehicles like others, whose messages are read and written here.

    FleetWiseDoor --check-in, reports, answers--> ControlRequest --> Control
    FleetWiseDoor <--what a vehicle is to have--- ControlResponse <-- Control

Rule 1: what the control thread has told is what the door knows: after a start it knows nothing, and every agent
        that checks in is told anew.
Rule 2: a vehicle that was heard of as an agent of FleetWise within the last hour is reached as one.
Rule 3: a command that such agents cannot do is answered in their place, as not supported.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    CampaignOrder,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    FromVehicle,
    StateReport,
    StateTemplateList,
)
from fairway.errors import BadInput, Unavailable
from fairway.signals import Dictionary
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fleet_cloud.adapters.control import Door

log = logs.get("fleet_cloud.fleetwise")

# Agents check in every five minutes, or as seldom as somebody has set; who changes to our agent is his again.
HEARD_FOR_NS = 3600 * NS_PER_S
# A reason code of FleetWise's.
_NOT_SUPPORTED = 8


class Hearing(Protocol):
    """The control thread, as far as it is spoken to."""

    def offer(self, vehicle: str, data: bytes, door: Door) -> bool:
        """Take a ControlRequest; False: too much waits."""
        ...


class Agents(Protocol):
    """The door that agents come through."""

    def changed(self, vehicles: Iterable[str]) -> None:
        """Send `vehicles` what they are to have now; must not block."""
        ...

    def command(self, vehicle: str, command: Command) -> None:
        """Send a command.  Raises BadInput for one that agents cannot do, Unavailable."""
        ...


@dataclass(slots=True)
class _Known:
    """What the control thread has told of a vehicle, and what that vehicle can collect."""

    heard_ns: int
    campaigns: CampaignList | None = None
    templates: StateTemplateList | None = None
    catalogue: Dictionary | None = None


class FleetWiseControl:
    """Campaigns, States and a door of Control, at once."""

    def __init__(self, control: Hearing, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._agents: Agents | None = None

    def serve(self, agents: Agents) -> None:
        """Tell `agents` of changes from now on."""
        self._agents = agents

    def orders(self, vehicle: str) -> Sequence[CampaignOrder] | None:
        with self._lock:
            known = self._known.get(vehicle)
            return known.campaigns.campaigns if known and known.campaigns else None

    def templates(self, vehicle: str) -> StateTemplateList | None:
        with self._lock:
            known = self._known.get(vehicle)
            return known.templates if known else None

    def checked_in(self, vehicle: str, check_in: CheckIn, catalogue: Dictionary | None) -> None:
        with self._lock:
            known = self._known.setdefault(vehicle, _Known(0))
            known.heard_ns, known.catalogue = self._clock.monotonic_ns(), catalogue
            said = replace(
                check_in,
                campaigns_revision=known.campaigns.revision if known.campaigns else 0,
                state_templates_revision=known.templates.revision if known.templates else 0,
                catalogue_id=catalogue.id if catalogue else b"",
            )
        self._say(vehicle, said)

    def heard(self, vehicle: str, what: StateReport | Answer) -> None:
        self._say(vehicle, what)

    def send_control(self, vehicle: str, data: bytes) -> bool:
        with self._lock:
            known = self._known.get(vehicle)
            now_ns = self._clock.monotonic_ns()
            if known is None or now_ns - known.heard_ns > HEARD_FOR_NS:
                return False
            noun = to_vehicle_from_bytes(data)
            if isinstance(noun, CampaignList):
                known.campaigns = noun
            elif isinstance(noun, StateTemplateList):
                known.templates = noun
            catalogue = known.catalogue
        match noun:
            case CampaignList() | StateTemplateList():
                if self._agents is not None:
                    self._agents.changed([vehicle])
            case CatalogueWanted():
                if catalogue is not None:
                    self._offer(vehicle, Catalogue(catalogue))
            case Command():
                self._command(vehicle, noun)
        return True

    def _command(self, vehicle: str, command: Command) -> None:
        try:
            if self._agents is not None:
                self._agents.command(vehicle, command)
        except BadInput as error:
            answer = Answer(command.id, AnswerState.FAILED, _NOT_SUPPORTED, str(error))
            self._offer(vehicle, answer)
        except Unavailable as error:  # it is sent again when the vehicle checks in
            log.warning("fleetwise_command_waits", vehicle=vehicle, reason=str(error))

    def _say(self, vehicle: str, noun: FromVehicle) -> None:
        if not self._offer(vehicle, noun):
            raise Unavailable("too many control messages are waiting")

    def _offer(self, vehicle: str, noun: FromVehicle) -> bool:
        return self._control.offer(vehicle, from_vehicle_to_bytes(noun), self)


class Doors:
    """Several ways to vehicles: the first that has one takes it."""

    def __init__(self, *doors: Door) -> None:
        self._doors = doors

    def send_control(self, vehicle: str, data: bytes) -> bool:
        return any(door.send_control(vehicle, data) for door in self._doors)
