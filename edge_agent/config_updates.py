"""Settings of updates: what may be installed into which ECU, when, and at what cost."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fairway.errors import BadInput

_SERIAL_MAX_CHARS = 64


@dataclass(frozen=True, slots=True)
class UpdateEcu:
    """An ECU, and how images get into it; which fields count depends on the kind."""

    serial: str
    hardware_id: str
    # container: a service; slot: system images, A/B; file: a folder; simulated: an ECU in memory
    kind: Literal["container", "slot", "file", "simulated"]
    primary: bool = False  # the one that this agent is; the first one where none says so
    service: str = ""  # container: its name; by default the serial
    folder: Path | None = None  # file: where "current" leads to what is installed
    slots: tuple[str, ...] = ("a", "b")  # slot: as the bootloader calls them
    devices: tuple[Path, ...] = ()  # slot: block devices or files, in the same order
    boot: Literal["uboot", "grub", "efi", "rauc", "simulated"] = "simulated"
    boot_file: Path | None = None  # uboot: fw_env.config; grub: grubenv; simulated: its memory
    booted: str = (
        ""  # the slot that runs; by default what the kernel's command line says: fairway.slot=
    )

    def __post_init__(self) -> None:
        if not 0 < len(self.serial) <= _SERIAL_MAX_CHARS or not self.hardware_id:
            raise BadInput(
                f"an ECU of updates has a serial of 1 to {_SERIAL_MAX_CHARS} characters and a hardware_id"
            )
        if self.kind == "file" and self.folder is None:
            raise BadInput(f"the ECU {self.serial} is a folder: set folder")
        if self.kind == "slot" and not len(self.devices) == len(self.slots) == 2:
            raise BadInput(f"the ECU {self.serial} has two slots: set slots and devices, two each")


@dataclass(frozen=True, slots=True)
class UpdateSignals:
    """Where conditions are read; "": nowhere, so that nobody says it."""

    speed: str = "Vehicle.Speed"
    parking_brake: str = "Vehicle.Chassis.ParkingBrake.IsEngaged"
    gear: str = "Vehicle.Powertrain.Transmission.CurrentGear"
    ignition: str = "Vehicle.LowVoltageSystemState"
    battery: str = "Vehicle.LowVoltageBattery.CurrentVoltage"
    charge: str = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current"
    max_age_s: float = 30.0  # what was said before that nobody says any more


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates; without the table [updates] there are none."""

    url: str = ""  # https://HOST:PORT of the cloud's door; by default what the cloud says
    dir: Path | None = None  # what is fetched and kept; "updates" beside the spool without
    director_root: Path | None = (
        None  # root.json of the two repositories, as the vehicle was made with
    )
    image_root: Path | None = None
    poll_s: float = 300.0  # between two looks, about
    ecu: tuple[UpdateEcu, ...] = ()
    # parked, ignition_off, ignition_on, battery, charge
    conditions: tuple[str, ...] = ("parked", "ignition_off", "battery")
    battery_min_v: float = 12.2
    charge_min_percent: float = 20.0
    window_from: str = ""  # "22:00": installed from then on only, in local time
    window_until: str = ""
    signals: UpdateSignals = field(default_factory=UpdateSignals)
    metered_max_mb: int = 200  # of one update over a metered link; 0: nothing
    whole_on_metered: bool = False  # whole images there, where a difference does not fit
    memory_max_mb: int = 256  # for applying a difference
    health_within_s: float = 300.0  # what is not well by then goes back
    health_for_s: float = 10.0  # well all the time before it is kept
    health_services: tuple[str, ...] = ()  # services that have to be ready
    health_signals: tuple[str, ...] = ()  # signals that have to come
    health_command: tuple[str, ...] = ()  # a program that has to end with 0
    restart_command: tuple[str, ...] = ("systemctl", "reboot")
    order_max_age_days: int = 30  # an update that waits longer is given up

    def __post_init__(self) -> None:
        serials = [one.serial for one in self.ecu]
        if len(set(serials)) != len(serials):
            raise BadInput("[[updates.ecu]] has a serial twice")
        if sum(one.primary for one in self.ecu) > 1:
            raise BadInput("only one [[updates.ecu]] can be the primary")
        if bool(self.window_from) != bool(self.window_until):
            raise BadInput("a window has a beginning and an end: set window_from and window_until")
        _within("poll_s", self.poll_s, 1, 86_400)
        _within("health_within_s", self.health_within_s, 1, 86_400)
        _within("health_for_s", self.health_for_s, 0, self.health_within_s)
        _within("metered_max_mb", self.metered_max_mb, 0, 1 << 20)
        _within("memory_max_mb", self.memory_max_mb, 1, 1 << 20)
        _within("order_max_age_days", self.order_max_age_days, 1, 3650)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise BadInput(f"{name} is {value:g}; choose from {least:g} to {most:g}")
