"""What the supervisor of services has around it, and what the settings say.

Rule 1: what it runs, where, and whom it asks is given; it opens nothing itself.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.adapters import data_folders
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.services_data import Measure
from edge_agent.services.denials import Denial
from edge_agent.services.ports import Doors, Images, Kept, Logs, Prober
from edge_agent.services.runtime import Inside, Runtime
from fairway.clock import Clock
from fairway.services.model import Runner, Service
from fairway.services.needs import Room


class Machine(Runtime, Inside, Protocol):
    """A runtime that can be looked into; each of ours can."""


def _no_denials(_service: str) -> Sequence[Denial]:
    return ()


@dataclass(frozen=True, slots=True)
class Around:
    """What services have around them."""

    machines: Mapping[Runner, Machine]
    images: Images
    doors: Doors
    prober: Prober
    logs: Logs
    kept: Kept
    clock: Clock
    is_connected: Callable[[], bool] = lambda: True  # without a cloud there is none to be lost
    denials: Callable[[str], Sequence[Denial]] = _no_denials  # of a service
    data_warnings: Measure = data_folders.warnings
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings say of services."""

    places: Places
    room: Room = field(default_factory=Room)
    files: tuple[Service, ...] = ()  # services of the settings' manifests
    allow_exec: bool = False
    usage_interval_s: float = 10.0
