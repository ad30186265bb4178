"""From frames to the vehicle's data: values, what the mapping refused, and what the sender said it has not."""

from edge_agent.broker.feed import Feed, HistoryLimits, data_of
from edge_agent.broker.store import Quality
from edge_agent.canbus.database import loads
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import catalog_of
from fairway.clock import NS_PER_S, ManualClock

DBC = b"""VERSION ""
BU_: X
BO_ 1 One: 2 X
 SG_ A : 0|8@1+ (1,0) [0|0] "" X
 SG_ B : 8|8@1+ (1,0) [0|0] "" X
BO_ 2 Two: 1 X
 SG_ C : 0|8@1+ (1,0) [0|0] "" X
VAL_ 2 C 0 "zero" 1 "one" ;
"""
CATALOG = b"""
Vehicle.A: {type: sensor, datatype: uint8, max: 100, dbc2vss: {signal: A, interval_ms: 1000}}
Vehicle.C: {type: sensor, datatype: string, dbc2vss: {signal: C, on_change: true}}
Vehicle.VIN: {type: attribute, datatype: string, default: WVW}
Vehicle.Wheels: {type: attribute, datatype: uint8, default: 400}
"""


def car():
    plan = compile_plan([BusDatabases("can0", (loads(DBC, name="car", suffix=".dbc"),))])
    catalog = catalog_of([("car.vspec", CATALOG)])
    mapping, clock = compile_mapping(plan, catalog, unmapped=True), ManualClock()
    data = data_of(catalog, mapping.table, HistoryLimits(10, 600, 1 << 20), clock)
    feed, decoder = Feed(mapping, data, clock), make_decoder(plan)

    def say(*frames):
        block = block_of([Frame(can_id, payload, clock.now_ns()) for can_id, payload in frames])
        feed.take(mapping.apply(decoder.decode(block), block), block)
        return {
            leaf.path: (data.store.state(number, now_ns=clock.monotonic_ns()))
            for number, leaf in enumerate(data.signals)
        }

    return say, clock, feed


def test_what_is_mapped_and_what_is_not_is_there_and_attributes_begin_with_their_default():
    say, clock, _ = car()

    found = say((1, b"\x05\x06"), (2, b"\x01"))

    values = {path: state.value for path, state in found.items()}
    assert values == {
        "Vehicle.A": 5,
        "Vehicle.C": "one",
        "Vehicle.VIN": "WVW",
        "Vehicle.Wheels": None,  # its default does not fit
        "can0.One.B": 6.0,
    }
    assert found["Vehicle.A"].time_ns == clock.now_ns()
    assert found["Vehicle.A"].quality is Quality.VALID


def test_a_refused_value_makes_its_signal_invalid_until_a_good_one_comes():
    say, clock, feed = car()
    say((1, b"\x05\x06"))
    clock.advance(NS_PER_S)

    found = say((1, b"\xff\x07"))
    assert (found["Vehicle.A"].value, found["Vehicle.A"].quality) == (5, Quality.INVALID)
    assert found["can0.One.B"].quality is Quality.VALID
    clock.advance(NS_PER_S)
    assert say((1, b"\x08\x07"))["Vehicle.A"].quality is Quality.VALID

    clock.advance(10 * NS_PER_S)
    found = say((2, b"\x01"))
    assert found["Vehicle.A"].quality is Quality.STALE  # late
    assert found["Vehicle.C"].quality is Quality.VALID
    clock.advance(10 * NS_PER_S)
    assert say()["Vehicle.C"].quality is Quality.STALE  # its bus says nothing
    assert say((2, b"\x01"))["Vehicle.C"].quality is Quality.VALID  # no change, but a sign of life
    feed.end()
    assert say()["Vehicle.C"].quality is Quality.STALE
