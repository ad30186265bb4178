"""What FleetWise's campaigns do here is what they do there: one test for each behaviour, which names it."""

import json
import math
import sys

import pytest

from fairway.errors import BadInput
from fairway.expression.campaign import (
    FLEETWISE_MAX_CHARACTERS,
    FLEETWISE_MAX_DEPTH,
    Binary,
    Custom,
    IsNull,
    Number,
    Operator,
    Read,
    Type,
    Unary,
    UnaryOperator,
    Variable,
    Window,
    WindowFunction,
    is_true,
    parse,
    scalar,
    text,
    walk,
)
from fairway.samples import Kind
from tests.fairway.expression.campaign_rows import bits, evaluated
from tests.shared_data import shared

INF, NAN = math.inf, math.nan


def expressions(document):
    """Every expression of a campaign document, wherever it stands."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("expression", "conditionExpression") and isinstance(value, str):
                yield value
            elif key == "actions":
                yield from value
            else:
                yield from expressions(value)
    elif isinstance(document, list):
        for part in document:
            yield from expressions(part)


def test_every_expression_of_fleetwises_own_campaigns_parses():
    folder = shared("edge/fleetwise/campaigns")
    found = [
        expression
        for path in sorted(folder.glob("*.json"))
        for expression in expressions(json.loads(path.read_text()))
    ]

    assert len(found) >= 9
    for expression in found:
        parsed = parse(
            expression, max_characters=FLEETWISE_MAX_CHARACTERS, max_depth=FLEETWISE_MAX_DEPTH
        )
        assert parse(text(parsed.tree)) == parsed


def test_a_signal_stands_in_backticks():
    assert parse("$variable.`Vehicle.ABS.Pressure`").tree == Read(Variable("Vehicle.ABS.Pressure"))


def test_a_field_of_a_complex_signal_is_a_signal():
    assert parse("$variable.`Vehicle.Objects.data[15].color`").signals == (
        "Vehicle.Objects.data[15].color",
    )


def test_literals_are_numbers_booleans_and_texts_in_either_quotes():
    assert evaluated("450.0") == 450.0
    assert evaluated("true") is True
    assert evaluated("false") is False
    assert evaluated("'a' == \"a\"") is True


def test_backslashes_escape_in_texts():
    assert evaluated(r"'\x41\n\\'") == "A\n\\"


def test_plus_concatenates_texts():
    assert evaluated("$variable.`a` + 'km'", "12") == "12km"


def test_texts_are_equal_when_they_are_the_same():
    assert evaluated("$variable.`a` == 'trigger_1'", "trigger_1") is True
    assert evaluated("$variable.`a` != 'trigger_1'", "trigger_1 ") is True


@pytest.mark.parametrize(
    ("written", "bracketed"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("8 / 4 / 2", "(8 / 4) / 2"),
        ("1 + 2 > 3 - 4", "(1 + 2) > (3 - 4)"),
        ("!1 > 2", "!(1 > 2)"),
        ("!1 == 2 && true", "(!(1 == 2)) && true"),
        ("true || false && !true", "true || (false && (!true))"),
        ("1 > 2 && 3 > 4 || 5 > 6", "((1 > 2) && (3 > 4)) || (5 > 6)"),
    ],
)
def test_operators_bind_as_fleetwise_binds_them(written, bracketed):
    assert parse(written) == parse(bracketed)


@pytest.mark.parametrize("sign", ["%", "?", "^"])
def test_there_is_no_remainder_and_no_choice(sign):
    with pytest.raises(BadInput, match="character 3"):
        parse(f"1 {sign} 2")


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("function", list(WindowFunction))
def test_windows_are_inputs(function, previous):
    name = f"{'prev_' if previous else ''}last_window_{function}"

    assert parse(f"{name}($variable.`x`) > 1").inputs == (Window("x", function, previous),)


def test_a_window_of_a_text_does_not_exist():
    with pytest.raises(BadInput, match="character 1: x is a text"):
        parse("last_window_min($variable.`x`) == 1", lambda _name: Kind.TEXT)


def test_is_null_is_an_input_and_true_or_false():
    parsed = parse("!isNull($variable.`Vehicle.ECU1.DTC_INFO`)")

    assert parsed.inputs == (IsNull("Vehicle.ECU1.DTC_INFO"),)
    assert parsed.tree == Unary(UnaryOperator.NOT, Read(parsed.inputs[0]))
    assert parsed.type is Type.BOOL


def test_arguments_of_custom_functions_are_expressions_that_nest():
    (found,) = parse(
        "custom_function('f', custom_function('g', $variable.`a`), 'b', true, -1)"
    ).inputs

    assert isinstance(found, Custom)
    assert [argument.text for argument in found.arguments] == [
        "custom_function('g', $variable.`a`)",
        "'b'",
        "true",
        "-1",
    ]
    assert found.arguments[0].inputs == (Custom("g", (parse("$variable.`a`"),)),)


@pytest.mark.parametrize(
    "call",
    [
        "custom_function('MULTI_RISING_EDGE_TRIGGER', 'A', $variable.`a` > 1, 'B', $variable.`b`)",
        "custom_function('python', 'histogram', 'histogram', $variable.`a`)",
        'custom_function("DTC_QUERY", -1, 4, -1)',
        "custom_function('counter')",
    ],
)
def test_functions_with_a_state_are_inputs(call):
    (found,) = parse(f"{call} == true").inputs

    assert isinstance(found, Custom)
    assert scalar(parse(call))([True]) is True


def test_and_and_or_do_not_skip_an_undefined_side():
    assert evaluated("false && $variable.`a` > 1", None) is None
    assert evaluated("true || $variable.`a` > 1", None) is None
    assert evaluated("$variable.`a` > 1 || true", None) is None


def test_a_missing_signal_makes_the_result_undefined():
    assert evaluated("$variable.`a` > 1", None) is None
    assert evaluated("$variable.`a` == $variable.`b`", 1.0, None) is None
    assert evaluated("!($variable.`a` > 1)", None) is None
    assert evaluated("custom_function('abs', $variable.`a`)", None) is None


def test_numbers_less_than_a_thousandth_apart_are_equal():
    assert evaluated("$variable.`a` == 5", 5.0009) is True
    assert evaluated("$variable.`a` != 5", 5.0009) is False
    assert evaluated("$variable.`a` == 5", 5.002) is False
    assert evaluated("0.0001 == 0.0002") is True


def test_an_infinity_is_not_even_equal_to_itself():
    assert evaluated("$variable.`a` == $variable.`a`", INF) is False


def test_orderings_know_no_tolerance():
    assert evaluated("$variable.`a` > 5", 5.0000001) is True
    assert evaluated("$variable.`a` <= 5", 5.0000001) is False


@pytest.mark.parametrize("value", [True, False])
def test_booleans_count_as_0_and_1(value):
    assert evaluated("$variable.`a` == 1.0", value) is value
    assert evaluated("$variable.`a` < 0.5", value) is not value
    assert evaluated("true + $variable.`a`", value) == 1.0 + value


def test_every_number_but_0_is_true():
    assert evaluated("$variable.`a` && true", 0.0001) is True
    assert evaluated("!$variable.`a`", -0.0) is True
    assert evaluated("$variable.`a` && true", NAN) is True


@pytest.mark.parametrize(
    ("value", "triggers"),
    [
        (True, True),
        (False, False),
        (2.0, True),
        (0.0, False),
        (NAN, True),
        ("true", False),
        (None, False),
    ],
)
def test_a_condition_triggers_on_true_and_on_numbers_but_0(value, triggers):
    assert is_true(value) is triggers


def test_a_text_never_is_part_of_a_condition():
    assert evaluated("$variable.`a` && true", "yes") is None


@pytest.mark.parametrize(
    ("call", "x", "result"),
    [
        ("'abs', $variable.`x`", -60.0, 60.0),
        ("'abs', $variable.`x`", True, 1.0),
        ("'max', 10.0, $variable.`x`", 60.0, 60.0),
        ("'min', -10.0, $variable.`x`", -60.0, -60.0),
        ("'min', $variable.`x`, 3, 2, 7", 5.0, 2.0),
        ("'pow', 2.0, $variable.`x`", 5.0, 32.0),
        ("'log', 2.0, $variable.`x`", 32.0, 5.0),
        ("'ceil', $variable.`x`", 123.5, 124.0),
        ("'ceil', $variable.`x`", -0.5, -0.0),
        ("'floor', $variable.`x`", 123.5, 123.0),
        ("'floor', $variable.`x`", INF, INF),
        ("'sin', $variable.`x`", 0.5, math.sin(0.5)),
        ("'sin', $variable.`x`", INF, NAN),
    ],
)
def test_the_mathematical_functions_that_fleetwise_ships(call, x, result):
    assert bits(evaluated(f"custom_function({call})", x)) == bits(result)


@pytest.mark.parametrize(
    "call",
    [
        "'pow', -1, $variable.`x`",  # x = 0.5: a root of a negative number
        "'pow', 0, -$variable.`x`",
        "'pow', 10, 1000 * $variable.`x`",
        "'pow', 10, -1000 * $variable.`x`",
        "'log', 2, $variable.`x` - 0.5",
        "'log', -2, $variable.`x`",
    ],
)
def test_pow_and_log_outside_of_what_they_can_give_are_undefined(call):
    assert evaluated(f"custom_function({call})", 0.5) is None


def test_a_logarithm_to_base_1_is_infinite():
    assert evaluated("custom_function('log', 1, $variable.`x`)", 2.0) == INF


def test_max_is_never_below_the_smallest_positive_number():
    assert evaluated("custom_function('max', $variable.`x`, -3)", -5.0) == sys.float_info.min


def test_min_and_max_pass_over_nan():
    assert evaluated("custom_function('min', $variable.`x`, 3)", NAN) == 3.0
    assert evaluated("custom_function('max', 3, $variable.`x`)", NAN) == 3.0


@pytest.mark.parametrize("call", ["'abs'", "'abs', 1, 2", "'min', 1", "'pow', 1", "'log', 1, 2, 3"])
def test_a_wrong_number_of_arguments_is_told_at_once(call):
    with pytest.raises(BadInput, match="character 1: .* takes .* values, not"):
        parse(f"custom_function({call}) > 1")


def test_a_tree_of_depth_10_is_allowed_and_one_of_11_is_not():
    ten = "!!!!!!!!!true"
    assert parse(ten, max_depth=FLEETWISE_MAX_DEPTH).type is Type.BOOL
    assert parse("!!!!!!!!isNull($variable.`x`)", max_depth=FLEETWISE_MAX_DEPTH).type is Type.BOOL

    for deeper in (f"!{ten}", "!!!!!!!!!isNull($variable.`x`)"):
        with pytest.raises(BadInput, match="nested deeper than 10 levels"):
            parse(deeper, max_depth=FLEETWISE_MAX_DEPTH)


def test_2048_characters_are_allowed_and_one_more_is_not():
    longest = "1 > 2".ljust(FLEETWISE_MAX_CHARACTERS)
    assert parse(longest, max_characters=FLEETWISE_MAX_CHARACTERS).text == "1 > 2"

    with pytest.raises(BadInput, match="has 2049 characters; at most 2048 are allowed"):
        parse(longest + " ", max_characters=FLEETWISE_MAX_CHARACTERS)


def test_a_tree_of_fleetwises_load_test_has_127_nodes():
    def nested(depth):
        if depth == 1:
            return "($variable.`BPDAPS_BkPDrvApP` > 7000.5 || $variable.`ACCDrvrSeltdSpd` < 60.25)"
        return f"({nested(depth - 1)}) && ({nested(depth - 1)})"

    parsed = parse(nested(5), max_depth=FLEETWISE_MAX_DEPTH)

    assert sum(1 for _ in walk(parsed.tree)) == 127
    assert parsed.signals == ("BPDAPS_BkPDrvApP", "ACCDrvrSeltdSpd")
    assert scalar(parsed)([7001.0, 90.0]) is True
    assert scalar(parsed)([7000.0, 90.0]) is False


def test_signs_belong_to_numbers():
    assert parse("$variable.`x` > -100").tree == Binary(
        Operator.GREATER, Read(Variable("x")), Number(-100.0)
    )
    assert parse("+5").tree == Number(5.0)
