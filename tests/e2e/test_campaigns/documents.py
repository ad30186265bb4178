"""FleetWise's own campaign documents, and drives that have something for each of them.

    hscan.dbc, ev_overcurrent_detection.dbc    FleetWise's, with the signals of its demos
    stand-in.dbc, names.vspec                  made here: one message for each other name, and all names mapped

What a drive says is known to the last sample, so what a campaign must bring can be computed.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cantools

from tests.shared_data import shared

NS_PER_S = 1_000_000_000
BEGIN_NS = 1_700_000_000 * NS_PER_S
FILE_SIZE_PATH = Path("/tmp/fwe_test_file")  # campaign-file-size.json asks for this one

TORQUE, BRAKE = "Vehicle.ECM.DemoEngineTorque", "Vehicle.ABS.DemoBrakePedalPressure"
LATITUDE = "Vehicle.CurrentLocation.Latitude"
HARD_KPA = 7500.0
# The driver brakes hard in the middle of the drive.
BRAKES_S = range(30, 50)
DEMO_S = 65

STAND_INS = (
    "Vehicle.Cameras.Front.Image",
    "Vehicle.Speed",
    "Vehicle.Airbag.CollisionIntensity",
    "Vehicle.Acceleration",
    "Vehicle.MySomeipInterface.X",
    "Vehicle.ExampleSomeipInterface.X",
    "Vehicle.ExampleSomeipInterface.A1.A2.A",
    "Vehicle.ExampleSomeipInterface.A1.A2.B",
    "Vehicle.ExampleSomeipInterface.A1.A2.D",
    LATITUDE,
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.MyCounter",
    "Vehicle.MyCustom",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.OBD.Speed",
    "Vehicle.OBD.AmbientAirTemperature",
    "Vehicle.OBD.EngineCoolantTemperature",
    "Vehicle.OBD.ThrottlePosition",
    "Vehicle.OBD.FuelLevel",
    "OBD.EngineSpeed",
)
_PACK = "EVBatterySample.BMS.BatteryPack01"
SHUNT = f"{_PACK}.ShuntPlusCurrent_a"
# Leaf: (signal of ev_overcurrent_detection.dbc, column of its table).
EV = {
    "EVBatterySample.Drivetrain.ActualVehicleSpeed": ("ActualVehicleSpeed_kph",) * 2,
    f"{_PACK}.BatteryPackVoltagePlus": ("BatteryPack01VoltagePlus_v",) * 2,
    f"{_PACK}.BatteryPackVoltageMinus": ("BatteryPack01VoltageMinus_v",) * 2,
    f"{_PACK}.Cell001.CellTemperature": ("BatteryPack01Cell001temperature_c",) * 2,
    SHUNT: ("BatteryPack01ShuntPlusCurrent_a",) * 2,
    f"{_PACK}.ShuntMinusCurrent_a": ("BatteryPack01ShuntMinusCurrent_a",) * 2,
    f"{_PACK}.ShuntPlusCurrentQualifier_enum": ("BatteryPack01ShuntPlusCurrentQualifier_enum",) * 2,
    f"{_PACK}.ShuntMinusCurrentQualifier_enum": ("BatteryPack01ShuntMinusCurrentQualifier_enum",)
    * 2,
}

# As FleetWise's example: bins of -1000 to 1000, said after so many values.
HISTOGRAM = """
import json

bins = [0] * 100
count = 0

def invoke(value):
    global count
    if value is None:
        return False
    bins[min(max(int((value + 1000) * 99 / 2000), 0), 99)] += 1
    count += 1
    if count < 1000:
        return False
    said = json.dumps(bins)
    bins[:] = [0] * 100
    count = 0
    return True, {"Vehicle.Histogram": said}
"""


def document(name: str) -> dict[str, Any]:
    """Return a document as FleetWise has it, called like its file where it has no name."""
    found = json.loads((shared("edge/fleetwise/campaigns") / f"{name}.json").read_bytes())
    assert isinstance(found, dict)
    if name == "campaign-python-histogram":  # FleetWise fetches this from S3
        found["fairway"] = {"functions": [{"name": "histogram", "source": HISTOGRAM}]}
    return {"name": name, **found}


@dataclass(frozen=True)
class Sample:
    """One value of a signal, as the bus carries it."""

    time_ns: int
    signal: str
    value: float


class Drive:
    """Frames of FleetWise's signals, and what they say."""

    def __init__(self, folder: Path) -> None:
        self.samples: list[Sample] = []
        self._frames: list[tuple[int, str]] = []
        self._stand_in = folder / "stand-in.dbc"
        self._stand_in.write_text(_stand_in_dbc())
        self.databases = {
            "can0": shared("edge/fleetwise/dbc/hscan.dbc"),
            "can1": shared("edge/fleetwise/dbc/ev_overcurrent_detection.dbc"),
            "can2": self._stand_in,
        }
        read: dict[str, Any] = {
            bus: cantools.database.load_file(str(path)) for bus, path in self.databases.items()
        }
        self._said_by = {
            name: (
                bus,
                signal,
                next(one for one in read[bus].messages if signal in one.signal_tree),
            )
            for name, (bus, signal) in _sources().items()
        }
        self.overlay = folder / "names.vspec"
        self.overlay.write_text("".join(_leaf(name) for name in _sources()))

    def add(self, after_ns: int, name: str, value: float) -> None:
        """Add a frame that says `value`, or what of it the bus can carry."""
        bus, signal, message = self._said_by[name]
        data = message.encode({signal: value}, strict=False)
        carried = message.decode(data, decode_choices=False)
        assert isinstance(carried, dict)
        time_ns = BEGIN_NS + after_ns
        self.samples.append(Sample(time_ns, name, float(str(carried[signal]))))
        stamp = f"({time_ns // NS_PER_S}.{time_ns % NS_PER_S // 1000:06d})"
        self._frames.append(
            (time_ns, f"{stamp} {bus} {message.frame_id:03X}#{data.hex().upper()}\n")
        )

    def write(self, log: Path, *, parked_s: int = 0) -> Path:
        """Write the log, in order of time; nobody knows the frame that it begins with when it is parked."""
        self._frames.sort(key=lambda one: one[0])
        self.samples.sort(key=lambda one: one.time_ns)
        parked = f"({BEGIN_NS // NS_PER_S - parked_s}.000000) can0 7FF#00\n" if parked_s else ""
        log.write_text(parked + "".join(line for _, line in self._frames))
        return log

    def of(self, name: str) -> list[Sample]:
        """Return the samples of one signal."""
        return [one for one in self.samples if one.signal == name]


def demo_drive(folder: Path) -> Drive:
    """Return a drive of FleetWise's demo car: torque that swings, one hard braking."""
    drive = Drive(folder)
    for step in range(DEMO_S * 50):  # 50 values a second
        second = step / 50
        drive.add(step * 20_000_000, TORQUE, 400 * math.sin(math.tau * second / 4))
        pressure = HARD_KPA if int(second) in BRAKES_S else 0.0
        drive.add(step * 20_000_000 + 7_000_000, BRAKE, pressure)
    for step in range(DEMO_S * 2):
        for number, name in enumerate(STAND_INS):
            drive.add(step * 500_000_000 + 3_000_000, name, 10 * number + step % 10)
    return drive


def ev_drive(folder: Path) -> Drive:
    """Return the drive that FleetWise's table of an overcurrent tells, a row a second."""
    drive = Drive(folder)
    table = shared("edge/fleetwise/dbc/ev_overcurrent_detection.txt").read_text()
    for second, row in enumerate(csv.DictReader(table.splitlines(), delimiter="\t")):
        for number, (name, (_, column)) in enumerate(EV.items()):
            if row[column]:
                at_ns = second * NS_PER_S + number * 1_000_000
                drive.add(at_ns, name, float(row[column]))
        drive.add(second * NS_PER_S + 20_000_000, "OBD.EngineSpeed", second % 100)
    return drive


def _sources() -> dict[str, tuple[str, str]]:
    """Return the bus and the signal that say each name."""
    return {
        TORQUE: ("can0", "DemoEngineTorque"),
        BRAKE: ("can0", "DemoBrakePedalPressure"),
        **{name: ("can1", signal) for name, (signal, _) in EV.items()},
        **{name: ("can2", name.replace(".", "_")) for name in STAND_INS},
    }


def _leaf(name: str) -> str:
    bus, signal = _sources()[name]
    return (
        f"{name}:\n  type: sensor\n  datatype: double\n"
        f"  dbc2vss:\n    signal: {signal}\n    bus: {bus}\n    interval_ms: 0\n"
    )


def _stand_in_dbc() -> str:
    messages = []
    for number, name in enumerate(STAND_INS):
        # Degrees need more digits than the rest.
        scale = "0.0000001" if "Location" in name else "0.25"
        signal = name.replace(".", "_")
        messages.append(
            f"BO_ {0x200 + number} MESSAGE_{number}: 4 ECU\n"
            f' SG_ {signal} : 0|32@1+ ({scale},0) [0|0] "" Vector__XXX\n'
        )
    return 'VERSION ""\nNS_ :\nBS_:\nBU_: ECU\n' + "".join(messages)
