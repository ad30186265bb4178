"""Settings of campaigns: their documents, their room, and what may be sent over which network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fairway.errors import BadInput


@dataclass(frozen=True, slots=True)
class Campaigns:
    """What campaigns may take of the vehicle."""

    files: tuple[Path, ...] = ()  # documents that run without a cloud
    max_bytes: int = 134_217_728  # of all partitions together
    memory_max_bytes: int = 20_971_520  # of samples from before a trigger, as FleetWise's agent
    check_in_interval_s: int = 300

    def __post_init__(self) -> None:
        _within("max_bytes", self.max_bytes, 1_048_576, 1 << 40)
        _within("memory_max_bytes", self.memory_max_bytes, 65_536, 1 << 32)
        _within("check_in_interval_s", self.check_in_interval_s, 1, 86_400)


@dataclass(frozen=True, slots=True)
class Budget:
    """What the whole vehicle may send: telemetry, as it leaves; 0 is no limit."""

    max_bytes_per_day: int = 0
    max_metered_bytes_per_day: int = 0

    def __post_init__(self) -> None:
        _within("max_bytes_per_day", self.max_bytes_per_day, 0, 1 << 53)
        _within("max_metered_bytes_per_day", self.max_metered_bytes_per_day, 0, 1 << 53)


@dataclass(frozen=True, slots=True)
class Network:
    """Whether what is sent is paid by the byte."""

    metered: Literal["auto"] | bool = "auto"
    metered_file: Path | None = None  # whoever manages the modem writes it: yes or no


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"{name} is {value}; choose from {least} to {most}")
