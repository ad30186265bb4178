"""Any mapping a file may hold, over any frames: problems or samples a leaf may have, never a traceback."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.canbus.database import loads
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.mapping_values import limits_of
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from fairway.samples import Kind

DBC = b"""VERSION ""
BU_: X
BO_ 1 One: 8 X
 SG_ A : 0|8@1+ (1,0) [0|0] "" X
 SG_ B : 8|16@1- (0.1,-40) [0|0] "" X
 SG_ C : 24|2@1+ (1,0) [0|0] "" X
 SG_ D : 26|1@1+ (1,0) [0|0] "" X
 SG_ F : 32|32@1- (1,0) [0|0] "" X
BO_ 2 Two: 8 X
 SG_ M M : 0|8@1+ (1,0) [0|0] "" X
 SG_ A m0 : 8|56@1+ (1,0) [0|0] "" X
 SG_ E m1 : 8|16@1+ (0.5,0) [0|0] "" X
BO_ 3 Wide: 8 X
 SG_ W : 0|64@1+ (1,0) [0|0] "" X
VAL_ 1 C 0 "off" 1 "on" 3 "fault" ;
VAL_ 1 B 1 "one" 30000 "far" ;
SIG_VALTYPE_ 1 F : 1;
"""
PLAN = compile_plan([BusDatabases("can0", (loads(DBC, name="car", suffix=".dbc"),))])

signals = st.sampled_from(["One.A", "Two.A", "B", "C", "D", "E", "F", "M", "W", "A", "Nothing"])
scalars = (
    st.sampled_from(["on", "off", "far", "one", "true", "no", "", 0, 1, -40, 0.5, True, False])
    | st.integers()
    | st.floats()
    | st.just(10**400)
)
formulas = st.sampled_from(
    [
        "x",
        "x*2",
        "x/0",
        "floor(x)",
        "x^x",
        "fac(x)",
        "if(x>1,1/x,0)",
        "7",
        "-x",
        "x%3",
        "a",
        "log(x)",
    ]
)
tables = st.lists(st.fixed_dictionaries({"from": scalars, "to": scalars}), min_size=1, max_size=4)
transforms = st.one_of(
    st.builds(lambda text: {"math": text}, formulas),
    st.builds(lambda rows: {"mapping": rows}, tables),
)
single = st.fixed_dictionaries(
    {"signal": signals},
    optional={
        "interval_ms": st.integers(0, 20),
        "on_change": st.booleans(),
        "transform": transforms,
        "multiplexer": st.integers(0, 2)
        | st.builds(
            lambda name, value: [{"signal": name, "value": value}],
            st.sampled_from(["M", "C", "D", "A"]),
            st.integers(0, 3),
        ),
        "pgn": st.just(0),
        "message": st.sampled_from(["One", "Two"]),
    },
)
several = st.builds(
    lambda a, b, text: {"signals": {"a": a, "b": b}, "interval_ms": 0, "transform": {"math": text}},
    signals,
    signals,
    st.sampled_from(["a+b", "a/b", "a*1000+b", "b", "x"]),
)
leaves = st.fixed_dictionaries(
    {
        "type": st.just("sensor"),
        "datatype": st.sampled_from(
            [
                "uint8",
                "int16",
                "int64",
                "uint64",
                "float",
                "double",
                "boolean",
                "string",
                "string[]",
            ]
        ),
        "dbc2vss": single | several,
    },
    optional={
        "min": st.floats(-100, 100),
        "max": st.integers(-100, 300),
        "allowed": st.lists(scalars, max_size=3),
        "pattern": st.sampled_from(["o.*", "[", "(a+)"]),
    },
)
frames = st.lists(
    st.builds(
        Frame,
        st.integers(1, 3),
        st.binary(max_size=8) | st.binary(min_size=8, max_size=8),
        st.integers(0, 10**8),
    ),
    max_size=25,
)


@settings(max_examples=200)
@given(mapped=st.lists(leaves, min_size=1, max_size=5), drive=frames, unmapped=st.booleans())
def test_samples_are_what_their_leaves_may_say(mapped, drive, unmapped):
    tree = {f"Vehicle.L{number}": leaf for number, leaf in enumerate(mapped)}
    catalog = catalog_of([("any.json", json.dumps(tree).encode())])
    mapping = compile_mapping(PLAN, catalog, unmapped=unmapped)
    block = block_of(drive)

    samples = mapping.apply(make_decoder(PLAN).decode(block), block)

    assert len(mapping.problems) + mapping.mapped >= len(mapped)
    columns = (samples.signal, samples.time_ns, samples.value)
    assert [str(column.dtype) for column in columns] == ["int32", "int64", "float64"]
    for name, time_ns, value in samples.rows():
        leaf = catalog.get(name)
        assert any(frame.time_ns == time_ns for frame in drive)
        if leaf is None:
            assert name.startswith("can0.")
        elif samples.table[samples.table.number(name)].kind is Kind.NUMBER:
            assert isinstance(value, float)
            low, high = limits_of(leaf)
            assert low <= value <= high
            assert not math.isnan(value)
            assert leaf.datatype in ("float", "double") or value == math.trunc(value)
        elif isinstance(value, str):
            assert not leaf.allowed or value in map(str, leaf.allowed)
