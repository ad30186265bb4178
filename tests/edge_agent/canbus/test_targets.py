"""Target values on their way into frames: tables, formulas, multiplexers; on the files of KUKSA and our own."""

import json

import cantools
import pytest

from edge_agent.canbus import database
from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.mapping_names import Names
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.canbus.targets import TargetRule, target_rule
from fairway.catalog.load import catalog_of
from fairway.errors import BadInput
from tests.shared_data import shared

MIRROR = "Vehicle.Body.Mirrors.DriverSide.Pan"
TRUNK = "Vehicle.Body.Trunk.Rear.IsOpen"
PAGED = b"""\
VERSION ""
NS_ :
BS_:
BU_: A
BO_ 256 CMD: 8 A
 SG_ Page M : 0|4@1+ (1,0) [0|15] "" A
 SG_ Left m2 : 8|8@1+ (0.5,0) [0|100] "" A
 SG_ Right m3 : 8|8@1+ (1,-10) [-10|245] "" A
"""


def rule_of(overlay: bytes, path: str, content: bytes = PAGED, suffix: str = ".dbc") -> TargetRule:
    dbc = database.loads(content, name="car", suffix=suffix)
    plan = compile_plan([BusDatabases("can0", (dbc,))])
    leaf = catalog_of([("overlay.vspec", overlay)]).get(path)
    assert leaf is not None
    return target_rule(leaf, plan, Names(plan))


def overlay(datatype: str, entry: str) -> bytes:
    return f"Vehicle.X:\n  type: actuator\n  datatype: {datatype}\n  vss2dbc: {entry}\n".encode()


@pytest.mark.parametrize(
    ("path", "target", "signal", "value"),
    [
        (MIRROR, 20, "VCLEFT_mirrorTiltXPosition", 3.0),
        (MIRROR, -100, "VCLEFT_mirrorTiltXPosition", 0.0),
        (TRUNK, True, "VCRIGHT_trunkLatchStatus", "LATCH_OPENED"),
        (TRUNK, False, "VCRIGHT_trunkLatchStatus", "LATCH_CLOSED"),
    ],
)
def test_the_overlay_of_the_can_provider_makes_frames_unchanged(path, target, signal, value):
    text = shared("edge/mapping/vss_4.2/dbc_overlay.vspec").read_bytes()
    rule = rule_of(text, path, shared("edge/tesla_model3/it-can.dbc").read_bytes())

    assert rule.values(target) == {signal: value}
    defaults = shared("edge/tesla_model3/dbc_default_values.json")
    names = {one.name for one in rule.message.signals}
    known = {name: v for name, v in json.loads(defaults.read_bytes()).items() if name in names}
    payload = Encoder(rule.message).encode({**known, **rule.values(target)})
    theirs = cantools.database.Database(strict=False)
    theirs.add_dbc_file(shared("edge/tesla_model3/it-can.dbc"))
    decoded = theirs.decode_message(rule.message.frame_id, payload, decode_choices=True)
    assert str(decoded[signal]) == str(value) or decoded[signal] == value


def test_a_multiplexer_is_set_for_the_signal_that_it_brings():
    left = rule_of(overlay("float", "{signal: Left}"), "Vehicle.X")
    right = rule_of(overlay("float", "{signal: Right}"), "Vehicle.X")

    assert left.values(12.5) == {"Page": 2, "Left": 12.5}
    assert Encoder(left.message).encode(left.values(12.5)) == bytes([2, 25, 0, 0, 0, 0, 0, 0])
    assert Encoder(right.message).encode(right.values(12.5))[:2] == bytes([3, 22])
    assert left.frame != right.frame  # never in one frame


@pytest.mark.parametrize(
    ("datatype", "entry", "target", "sentence"),
    [
        (
            "uint8",
            "{signal: Left, transform: {mapping: [{from: 1, to: 7}]}}",
            2,
            "no row of vss2dbc",
        ),
        ("uint8", '{signal: Left, transform: {math: "1/x"}}', 0, "has no value for 0"),
        ("string", '{signal: Left, transform: {math: "x"}}', "fast", "is no number"),
        ("uint8[]", "{signal: Left}", (1, 2), "is an array"),
    ],
)
def test_a_target_that_no_frame_can_say_makes_none(datatype, entry, target, sentence):
    with pytest.raises(BadInput, match=sentence):
        rule_of(overlay(datatype, entry), "Vehicle.X").values(target)
