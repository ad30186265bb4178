"""A small car for tests of mappings: frames in, samples out."""

from edge_agent.canbus.database import loads
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from fairway.clock import NS_PER_MS

DBC = b"""VERSION ""
BU_: X
BO_ 256 Drive: 8 X
 SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" X
 SG_ Torque : 16|16@1- (0.5,-10) [0|0] "Nm" X
 SG_ Gear : 32|3@1+ (1,0) [0|7] "" X
 SG_ Brake : 35|1@1+ (1,0) [0|1] "" X
 SG_ Level : 40|8@1+ (1,0) [0|255] "" X
 SG_ Wide : 48|16@1+ (1,0) [0|0] "" X
BO_ 512 Clock: 3 X
 SG_ Hour : 0|8@1+ (1,0) [0|23] "" X
 SG_ Minute : 8|8@1+ (1,0) [0|59] "" X
 SG_ Level : 16|8@1+ (1,0) [0|100] "%" X
BO_ 513 Seconds: 1 X
 SG_ Second : 0|8@1+ (1,0) [0|59] "" X
BO_ 768 Tyre: 3 X
 SG_ Which M : 0|8@1+ (1,0) [0|3] "" X
 SG_ PressureFL m0 : 8|16@1+ (1,0) [0|0] "kPa" X
 SG_ PressureFR m1 : 8|16@1+ (1,0) [0|0] "kPa" X
BO_ 769 Seat: 2 X
 SG_ Row : 0|8@1+ (1,0) [0|3] "" X
 SG_ Heat : 8|8@1+ (1,0) [0|100] "%" X
BO_ 800 Real: 8 X
 SG_ Exact : 0|32@1- (1,0) [0|0] "" X
BO_ 2364540158 EEC1: 8 X
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031.875] "rpm" X
 SG_ Starter : 48|4@1+ (1,0) [0|15] "" X
BO_ 2566834686 EEC2: 8 X
 SG_ EngineSpeed : 0|16@1+ (1,0) [0|0] "rpm" X
VAL_ 256 Gear 0 "P" 1 "R" 2 "N" 3 "D" ;
VAL_ 256 Wide 0 "OFF" 40000 "ON" ;
SIG_VALTYPE_ 800 Exact : 1;
"""


def fixed(entry, datatype="float", extra=""):
    return f"Vehicle.A:\n  type: sensor\n  datatype: {datatype}\n{extra}  dbc2vss: {entry}\n"


def plan_of(*names, content=DBC):
    database = loads(content, name="car", suffix=".dbc")
    return compile_plan([BusDatabases(name, (database,)) for name in names or ("can0",)])


class Car:
    """Frames in, samples out."""

    def __init__(self, *overlays, unmapped=False, buses=("can0",), sift=None):
        self.plan = plan_of(*buses)
        catalog = catalog_of([(f"{n}.vspec", text.encode()) for n, text in enumerate(overlays)])
        self.mapping = compile_mapping(self.plan, catalog, unmapped=unmapped, sift=sift)
        self._decoder = make_decoder(self.plan)

    def hear(self, *frames):
        """(id, hex, time_ms[, bus]) ... as one block -> (name, time_ms, value) ..."""
        block = block_of(
            [
                Frame(can_id, bytes.fromhex(data), time_ms * NS_PER_MS, *bus)
                for can_id, data, time_ms, *bus in frames
            ]
        )
        samples = self.mapping.apply(self._decoder.decode(block), block)
        return [(name, time_ns // NS_PER_MS, value) for name, time_ns, value in samples.rows()]

    def values(self, *frames):
        return [value for _, _, value in self.hear(*frames)]

    @property
    def problems(self):
        return [str(problem) for problem in self.mapping.problems]

    @property
    def refused(self):
        return {reason: count for reason, count in self.mapping.refused.items() if count}


def drive(speed=0, torque=0, gear=0, brake=0, level=0, wide=0):
    raw = speed | (torque & 0xFFFF) << 16 | (gear | brake << 3) << 32 | level << 40 | wide << 48
    return raw.to_bytes(8, "little").hex()
