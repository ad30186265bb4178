"""Catalogues: the standard's trees, mapping overlays, and everything that is neither."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.catalog.load import CATALOG_MAX_BYTES, PATH_MAX_DEPTH, catalog_of, load_catalog
from fairway.catalog.model import (
    Dbc2Vss,
    MathTransform,
    Selector,
    SignalRef,
    TableTransform,
    Vss2Dbc,
)
from fairway.errors import BadInput
from tests.shared_data import shared


def overlay(text, *more):
    files = [("base.vspec", text), *((f"{n}.vspec", other) for n, other in enumerate(more, 1))]
    return catalog_of([(name, content.encode()) for name, content in files])


def only(catalog):
    """The single leaf of a catalogue that has no problems."""
    assert [str(problem) for problem in catalog.problems] == []
    (leaf,) = catalog
    return leaf


def told(catalog):
    return [str(problem) for problem in catalog.problems]


SPEED = """
Vehicle.Speed:
  type: sensor
  datatype: float
  unit: km/h
"""


@pytest.mark.parametrize(("version", "leaves"), [("4.0", 910), ("5.1", 1321), ("6.0", 1263)])
def test_the_standard_trees_load_whole(version, leaves):
    catalog = load_catalog([shared(f"edge/vss/vss_release_{version}.json")])

    assert (len(catalog), catalog.problems) == (leaves, ())
    speed = catalog.get("Vehicle.Speed")
    assert speed is not None
    assert (speed.datatype, speed.type, speed.unit) == ("float", "sensor", "km/h")


def test_the_tree_that_vss_tools_made_of_a_mapping_loads_whole():
    catalog = load_catalog([shared("edge/mapping/vss_4.2/vss_dbc.json")])

    assert (len(catalog.mapped), catalog.problems) == (35, ())
    angle = catalog.get("Vehicle.Chassis.SteeringWheel.Angle")
    assert angle is not None
    assert angle.dbc2vss == Dbc2Vss(
        (("x", SignalRef("SteeringAngle129")),), MathTransform("floor(x+0.5)"), interval_ms=100
    )
    trunk = catalog.get("Vehicle.Body.Trunk.Rear.IsOpen")
    assert trunk is not None
    assert trunk.vss2dbc == Vss2Dbc(
        SignalRef("VCRIGHT_trunkLatchStatus"),
        TableTransform(((True, "LATCH_OPENED"), (False, "LATCH_CLOSED"))),
    )


def test_an_overlay_says_the_same_as_the_tree_made_of_it():
    made = load_catalog([shared("edge/mapping/vss_4.2/vss_dbc.json")])

    laid = load_catalog(
        [
            shared("edge/vss/vss_release_4.0.json"),
            shared("edge/mapping/vss_4.2/dbc_overlay.vspec"),
        ]
    )

    assert {leaf.path: leaf.dbc2vss for leaf in laid.mapped} == {
        leaf.path: leaf.dbc2vss for leaf in made.mapped
    }


def test_an_overlay_adds_to_a_leaf_and_leaves_the_rest_of_it():
    laid = overlay(SPEED, "Vehicle.Speed: {dbc2vss: {signal: DI_uiSpeed}}")

    leaf = only(laid)
    assert (leaf.unit, leaf.dbc2vss) == ("km/h", Dbc2Vss((("x", SignalRef("DI_uiSpeed")),)))


def test_a_later_file_overrides_an_earlier_one_and_may_take_a_mapping_away():
    base = SPEED + "  dbc2vss: {signal: A, interval_ms: 5, on_change: true}\n"

    changed = overlay(base, "Vehicle.Speed: {unit: m/s, dbc2vss: {signal: B}}")
    removed = overlay(base, "Vehicle.Speed: {dbc2vss: null}")

    assert only(changed).unit == "m/s"
    assert only(changed).dbc2vss == Dbc2Vss((("x", SignalRef("B")),))
    assert only(removed).dbc2vss is None


def test_defaults_are_those_of_the_can_provider():
    plain = only(overlay(SPEED + "  dbc2vss: {signal: A}"))
    changing = only(overlay(SPEED + "  dbc2vss: {signal: A, on_change: true}"))
    both = only(overlay(SPEED + "  dbc2vss: {signal: A, on_change: true, interval_ms: 50}"))

    filters = [
        (leaf.dbc2vss.interval_ms, leaf.dbc2vss.on_change) for leaf in (plain, changing, both)
    ]
    assert filters == [(1000, False), (0, True), (50, True)]
    assert plain.change_type == "continuous"


def test_the_older_word_dbc_still_maps():
    assert only(overlay(SPEED + "  dbc: {signal: A}")).dbc2vss == Dbc2Vss((("x", SignalRef("A")),))


def test_change_types_are_kept_and_attributes_are_static():
    catalog = overlay(
        "Vehicle.A: {type: sensor, datatype: float, x-kuksa-changetype: ONCHANGE}\n"
        "Vehicle.B: {type: attribute, datatype: string}\n"
    )

    assert [leaf.change_type for leaf in catalog] == ["onchange", "static"]


def test_our_own_keys_say_exactly_which_signals_are_meant():
    catalog = overlay(
        SPEED
        + """  dbc2vss:
    bus: can0
    pgn: 61444
    multiplexer: 3
    signals: {a: Whole, b: {signal: Tenths, message: Other, multiplexer: [{signal: M, value: 1}]}}
    max_age_ms: 40
    transform: {math: a + b/10}
"""
    )

    assert only(catalog).dbc2vss == Dbc2Vss(
        parts=(
            ("a", SignalRef("Whole", "", "can0", 61444, (Selector("", 3),))),
            ("b", SignalRef("Tenths", "Other", "can0", 61444, (Selector("M", 1),))),
        ),
        transform=MathTransform("a + b/10"),
        max_age_ms=40,
    )


def test_only_true_and_false_are_booleans_in_an_overlay():
    catalog = overlay(
        SPEED
        + "  dbc2vss: {signal: A, on_change: yes, transform: {mapping: [{from: ON, to: off}]}}"
    )

    entry = only(catalog).dbc2vss
    assert entry.on_change is True
    assert entry.transform == TableTransform((("ON", "off"),))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("[]", "dbc2vss must be a table of keys, not []"),
        ("{}", "signal must be a name, not None"),
        ("{signal: 7}", "signal must be a name, not 7"),
        (
            "{signal: A, interval_ms: fast}",
            "interval_ms must be a whole number from 0 to 3600000, not 'fast'",
        ),
        ("{signal: A, interval_ms: -1}", "interval_ms must be a whole number"),
        ("{signal: A, on_change: maybe}", "on_change must be true or false, not 'maybe'"),
        ("{signal: A, pgn: 999999999}", "pgn must be a whole number from 0 to 262143"),
        ("{signal: A, multiplexer: red}", "multiplexer must be a whole number"),
        (
            "{signal: A, multiplexer: [{signal: B}]}",
            "multiplexer must list items with signal and value",
        ),
        ("{signal: A, signals: {b: B}}", "both signal and signals"),
        ("{signals: {}, transform: {math: '1'}}", "signals must name 1 to 16 signals"),
        ("{signals: {a b: B}, transform: {math: '1'}}", "'a b' cannot be the name of a part"),
        ("{signals: {a: A, b: B}}", "several signals need a transform with math"),
        ("{signals: {a: A, b: B}, transform: x}", "several signals need a transform with math"),
        ("{signal: A, transform: 3}", "transform must be {math: ...} or {mapping: ...}, not 3"),
        ("{signal: A, transform: {}}", "transform has neither math nor mapping"),
        ("{signal: A, transform: {math: x, mapping: []}}", "transform has both math and mapping"),
        ("{signal: A, transform: {math: [x]}}", "math must be a formula, not ['x']"),
        ("{signal: A, transform: {mapping: {from: 1}}}", "mapping must be a list"),
        ("{signal: A, transform: {mapping: [{from: 1}]}}", "each row of mapping needs from and to"),
        (
            "{signal: A, transform: {mapping: [{from: 1, to: [2]}]}}",
            "to of mapping must be a value",
        ),
    ],
)
def test_an_entry_that_cannot_be_understood_costs_only_itself(entry, problem):
    catalog = overlay(SPEED + f"  dbc2vss: {entry}")

    assert len(catalog) == 1
    assert catalog.mapped == ()
    (found,) = catalog.problems
    assert found.path == "Vehicle.Speed"
    assert problem in found.text


def test_a_misspelt_key_is_told_and_the_rest_of_the_entry_stands():
    catalog = overlay(SPEED + "  dbc2vss: {signal: A, intervall_ms: 5}")

    assert catalog.mapped[0].dbc2vss == Dbc2Vss((("x", SignalRef("A")),))
    assert told(catalog) == [
        "Vehicle.Speed: 'intervall_ms' is no key here and says nothing; did you mean interval_ms?"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Vehicle.New: {dbc2vss: {signal: A}}", "Vehicle.New: no earlier file has this path"),
        ("Vehicle.New: {type: sensor}", "Vehicle.New: no earlier file has this path"),
        ("Vehicle.A-B: {type: sensor, datatype: float}", "Vehicle.A-B: base.vspec: a path is"),
        ("Vehicle.A: 3", "Vehicle.A: base.vspec: must be a table, not 3"),
        ("Vehicle.A: {type: branch, children: 3}", "children must be a table"),
        ("Vehicle.A: {type: branch, instances: [Left]}", "instances is not followed here"),
        (
            "#include other.vspec Vehicle\nVehicle: {type: branch}",
            "line 1: #include is not followed",
        ),
        (f"{SPEED}{SPEED}", "base.vspec, line 7: Vehicle.Speed stands twice"),
        (f"{SPEED}  min: low", "min must be a number, not 'low'"),
        (f"{SPEED}  max: .inf", "max must be a number, not inf"),
        (f"{SPEED}  allowed: 3", "allowed must be a list of values, not 3"),
        (f"{SPEED}  default: {{a: 1}}", "default must be a list of values"),
        (f"{SPEED}  description: [1]", "description must be a text"),
        (f"{SPEED}  x-kuksa-changetype: never", "choose one of continuous, onchange, static"),
        (f"{SPEED}  vss2dbc: {{signal: A}}", "vss2dbc is for actuators; this is a sensor"),
        ("Vehicle.A: {type: sensor, datatype: Types.Point}", "datatype Types.Point is none"),
    ],
)
def test_what_is_odd_in_a_file_is_told(text, problem):
    assert any(problem in line for line in told(overlay(text)))


def test_type_definitions_are_passed_over():
    assert (
        len(
            overlay("Types.Point: {type: struct}\nTypes.Point.X: {type: property, datatype: float}")
        )
        == 0
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "a.json is not JSON"),
        ("a.json", b"[" * 100_000, "a.json is not JSON"),
        ("a.json", b"[]", "a.json is no catalogue"),
        ("a.json", b"\xff\xfe", "a.json is not UTF-8 text"),
        ("a.json", b" " * (CATALOG_MAX_BYTES + 1), "a.json is larger than"),
        ("a.vspec", b"a: [", "a.vspec is not YAML: line 2"),
        ("a.vspec", b"- a", "a.vspec is no catalogue"),
        ("a.vspec", b"", "a.vspec is no catalogue"),
        ("a.vspec", b"a: !!python/object/apply:os.getcwd []", "a.vspec is not YAML: line 1"),
        ("a.vspec", b"a: \x00", "a.vspec is not YAML"),
        ("a.vspec", b"a: &x 1\nb: *x", "a.vspec, line 1: anchors and aliases"),
        ("a.vspec", b"b: *x", "a.vspec, line 1: anchors and aliases"),
        ("a.vspec", b"a: " + b"[" * 100_000, "a.vspec, line 1: nested deeper than"),
        ("a.vspec", b"a: 2026-13-45", "a.vspec is not YAML"),
        ("a.vspec", b"a: {? [b] : c}", "a.vspec is not YAML"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_in_one_sentence(name, content, reason):
    with pytest.raises(BadInput) as refused:
        catalog_of([(name, content)])

    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


def test_an_alias_bomb_does_not_go_off():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )

    with pytest.raises(BadInput, match="anchors and aliases"):
        overlay(bomb)


def test_paths_have_an_end():
    tree: dict[str, object] = {"type": "sensor", "datatype": "float"}
    for _ in range(PATH_MAX_DEPTH):
        tree = {"type": "branch", "children": {"A": tree}}

    with pytest.raises(BadInput, match="at most 32 parts"):
        catalog_of([("a.json", json.dumps({"A": tree}).encode())])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read the catalogue .*nowhere.json"):
        load_catalog([tmp_path / "nowhere.json"])


words = (
    "type datatype children dbc2vss vss2dbc signal signals transform mapping math from to multiplexer "
    "pgn interval_ms on_change allowed min default instances A B"
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(words.split()) | st.text(max_size=4),
            inner | st.sampled_from(["sensor", "branch", "float", "boolean", "x", "A"]),
            max_size=5,
        )
    ),
    max_leaves=25,
)


def problems_or_refusal(name, content):
    """What is said about any content: a list of problems, or one sentence."""
    try:
        return catalog_of([(name, content)]).problems
    except BadInput as refused:
        return str(refused)


@given(st.dictionaries(st.sampled_from(["Vehicle", "Vehicle.A", ""]), values, max_size=3))
def test_any_json_tree_is_a_catalogue_with_problems_or_a_refusal(tree):
    answer = problems_or_refusal("a.json", json.dumps(tree).encode())

    assert isinstance(answer, tuple) or "\n" not in answer


@given(
    st.binary(max_size=80)
    | st.text(alphabet=" \nabc:[]{}&*!#'\"-?|>,01", max_size=60).map(str.encode)
)
def test_any_bytes_are_an_overlay_or_a_refusal(content):
    for name in ("a.vspec", "a.json"):
        answer = problems_or_refusal(name, content)

        assert isinstance(answer, tuple) or len(answer) < 500
