"""The campaign language's grammar, its errors and limits, and that nothing else gets through."""

import contextlib
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.expression.campaign import (
    EXPRESSION_MAX_CHARACTERS,
    EXPRESSION_MAX_DEPTH,
    EXPRESSION_MAX_NODES,
    EXPRESSION_MAX_SIGNALS,
    Binary,
    Boolean,
    Call,
    Custom,
    Expression,
    Function,
    Held,
    Number,
    Operator,
    Rate,
    Read,
    Text,
    Type,
    Unary,
    UnaryOperator,
    Variable,
    parse,
    walk,
)
from fairway.samples import Kind

X = Read(Variable("x"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1.5e3", Number(1500.0)),
        (".5", Number(0.5)),
        ("1.", Number(1.0)),
        ("-5", Number(-5.0)),
        ("-(5)", Unary(UnaryOperator.NEGATE, Number(5.0))),
        ("--5", Unary(UnaryOperator.NEGATE, Number(-5.0))),
        ("- $variable.`x`", Unary(UnaryOperator.NEGATE, X)),
        ("-$variable.`x` * 2", Binary(Operator.MULTIPLY, Unary(UnaryOperator.NEGATE, X), Number(2.0))),
        ("1 - -1", Binary(Operator.MINUS, Number(1.0), Number(-1.0))),
        ("1-1", Binary(Operator.MINUS, Number(1.0), Number(1.0))),
        ("1 < 2 == 3", Binary(Operator.EQUAL, Binary(Operator.LESS, Number(1), Number(2)), Number(3))),
        ("1 == (!true)", Binary(Operator.EQUAL, Number(1.0), Unary(UnaryOperator.NOT, Boolean(value=True)))),
        ('"it\'s"', Text("it's")),
        (r"'it\'s \"\t\u00e9\U0001F697'", Text('it\'s "\té\U0001f697')),
        ("\t(\r\n(true))  ", Boolean(value=True)),
        ("rate($variable.`x`)", Read(Rate("x"))),
        ("$variable.`a b/c.Größe[0]`", Read(Variable("a b/c.Größe[0]"))),
        ('custom_function("abs", $variable.`x`)', Call(Function.ABS, (X,))),
        (
            "inside_circle($variable.`x`, $variable.`x`, -48.1, 11.5, 500)",
            Call(Function.INSIDE_CIRCLE, (X, X, Number(-48.1), Number(11.5), Number(500.0))),
        ),
        (
            "inside_polygon($variable.`x`, $variable.`x`, '0 0, 1 0, 1 1')",
            Call(Function.INSIDE_POLYGON, (X, X, Text("0 0, 1 0, 1 1"))),
        ),
    ],
)  # fmt: skip
def test_a_text_becomes_a_tree(text, tree):
    assert parse(text).tree == tree


@pytest.mark.parametrize(
    ("written", "duration_ns"),
    [
        ("2 s", 2_000_000_000),
        ("2s", 2_000_000_000),
        ("1500 ms", 1_500_000_000),
        ("0.1 s", 100_000_000),
        ("1 ms", 1_000_000),
        ("5 min", 300_000_000_000),
        ("1.5 h", 5_400_000_000_000),
        ("24 h", 86_400_000_000_000),
    ],
)
def test_a_condition_is_held_for_a_duration(written, duration_ns):
    parsed = parse(f"held($variable.`x` > 1, {written})")

    condition = Binary(Operator.GREATER, X, Number(1.0))
    (held,) = parsed.inputs
    assert isinstance(held, Held)
    assert (held.condition.tree, held.duration_ns) == (condition, duration_ns)
    assert parsed.type is Type.BOOL


def test_the_inputs_are_each_once_in_the_order_of_the_text():
    parsed = parse(
        "$variable.`b` > 1 && held($variable.`c` > 1 && $variable.`d` > 1, 1 s)"
        " && $variable.`a` > $variable.`b` && held($variable.`c`>1 && $variable.`d`>1, 1000 ms)"
        " && custom_function('f', $variable.`e`)"
    )

    b, held, a, custom = parsed.inputs
    assert (b, a) == (Variable("b"), Variable("a"))
    assert isinstance(held, Held)
    assert held.condition.inputs == (Variable("c"), Variable("d"))
    assert isinstance(custom, Custom)
    assert parsed.signals == ("b", "c", "d", "a", "e")


def test_every_part_knows_where_it_stands():
    text = " ( $variable.`x` + 1 ) * 2 > held( !true , 2 s )"
    places = {text[node.first - 1 : node.last] for node, _ in walk(parse(text).tree)}

    assert places == {
        "( $variable.`x` + 1 ) * 2 > held( !true , 2 s )",
        "( $variable.`x` + 1 ) * 2",
        "$variable.`x` + 1",
        "$variable.`x`",
        "1",
        "2",
        "held( !true , 2 s )",
        "!true",
        "true",
    }


def test_an_expression_inside_another_has_its_own_text_and_its_place():
    text = "1 > 2 || held( $variable.`x` > 1 , 2 s)"
    (held,) = parse(text).inputs

    assert isinstance(held, Held)
    inner = held.condition
    assert inner.text == "$variable.`x` > 1"
    assert text[inner.first - 1 :].startswith(inner.text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1: the end stands where a value is expected"),
        ("1 +", "character 4: the end stands where a value is expected"),
        ("1 + * 2", "character 5: * stands where a value is expected"),
        ("(1 + 2", "character 7: the end stands where ), to close the bracket of character 1, is expected"),
        ("1 2", "character 3: 2 is not expected here; an operator or the end is"),
        ("1)", "character 2: ) is not expected here"),
        ("$variable.`x` = 1", "character 15: '=' is not understood here; equality is written =="),
        ("true & false", "character 6: '&' is not understood here; and is written &&"),
        ("true | false", "character 6: '|' is not understood here; or is written ||"),
        ("7 % 2", "character 3: '%' is not understood here; there is no remainder here"),
        ("Vehicle.Speed > 1", "character 1: Vehicle.Speed is not known here; signals are written"),
        ("$variable.Speed > 1", "character 1: '$' is not understood here; a signal is written"),
        ("$variable.`` > 1", "character 1: '$' is not understood here"),
        ("$variable.`Speed", "character 1: '$' is not understood here"),
        ("1 + 'a", "character 5: \"'\" is not understood here; this text is not closed by '"),
        (r"'a\q'", r"character 3: \q is no escape; known:"),
        (r"'\ud800'", r"character 2: \ud800 is no escape"),
        ("'a\nb'", "character 1: \"'\" is not understood here"),
        ("1e999", "character 1: 1e999 is too large for a number"),
        ("1 == !true", "character 6: ! binds weaker than what stands before it; write (!...)"),
        ("+true", "character 2: true stands where a number after the sign + is expected"),
        ("TRUE", "character 1: TRUE is not known here"),
        ("sin(1)", "character 1: sin is not known here"),
        ("isNull(1)", "character 8: 1 stands where a signal, $variable.`Name`, is expected"),
        ("isNull $variable.`x`", "character 8: $variable.`x` stands where ( is expected"),
        ("rate($variable.`x`, 1)", "character 19: , stands where ), to close the bracket of character 5, is"),
        ("custom_function()", "character 17: ) stands where the name of the function, in quotes, is expected"),
        ("custom_function('f',)", "character 21: ) stands where a value is expected"),
        ("custom_function('f' 1)", "character 21: 1 stands where ), to close"),
        ("held(true)", "character 10: ) stands where , is expected"),
        ("held(true, 2)", "character 12: a duration is expected here, such as 500 ms, 2 s, 5 min or 1 h"),
        ("held(true, 2 d)", "character 12: a duration is expected here"),
        ("held(true, -2 s)", "character 12: a duration is expected here"),
        ("held(true, '2' s)", "character 12: a duration is expected here"),
        ("held(true, 2 's')", "character 12: a duration is expected here"),
        ("held(true, 0 s)", "character 12: a condition is held for 1 ms to 24 h"),
        ("held(true, 25 h)", "character 12: a condition is held for 1 ms to 24 h"),
        ("held(true, 1e3 ms)", "character 12: a duration is expected here"),
        ("held(true, 1e-999999999 s)", "character 12: a duration is expected here"),
        ("held(held(true, 1 s), 1 s)", "character 6: there is no held inside held"),
        ("held(custom_function('f', held(true, 1 s)), 1 s)", "character 27: there is no held inside held"),
        ("inside_circle(1, 2, 3, 4)", "character 1: inside_circle takes 5 values, not 4"),
        ("inside_circle(1, 2, 93, 4, 5)", "character 21: the centre's latitude is 93.0"),
        ("inside_circle(1, 2, 3, 184, 5)", "character 21: the centre's longitude is 184.0"),
        ("inside_circle(1, 2, 3, 4, 0)", "character 21: the radius is 0.0 m; it must be more than 0"),
        ("inside_polygon(1, 2, 3)", "character 22: the corners of a polygon are a text in quotes"),
        ("inside_polygon(1, 2, '1 2, 3 4')", "character 22: a polygon has 3 to 500 corners, this one 2"),
        ("inside_polygon(1, 2, '1 2, 3, 4 5')", "character 22: corner 2, '3', is not written as"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text, place):
    with pytest.raises(BadInput) as refused:
        parse(text)

    assert place in str(refused.value)


KINDS = {"n": Kind.NUMBER, "b": Kind.BOOL, "t": Kind.TEXT}


@pytest.mark.parametrize(
    ("text", "its_type"),
    [
        ("$variable.`n`", Type.NUMBER),
        ("$variable.`b`", Type.BOOL),
        ("$variable.`t`", Type.TEXT),
        ("$variable.`u`", Type.UNKNOWN),
        ("$variable.`n` + $variable.`b`", Type.NUMBER),
        ("$variable.`t` + 'x'", Type.TEXT),
        ("$variable.`u` + 'x'", Type.TEXT),
        ("$variable.`u` + 1", Type.NUMBER),
        ("$variable.`u` + $variable.`u`", Type.UNKNOWN),
        ("-$variable.`b`", Type.NUMBER),
        ("$variable.`n` && $variable.`b`", Type.BOOL),
        ("$variable.`u` == 'x'", Type.BOOL),
        ("rate($variable.`n`)", Type.NUMBER),
        ("custom_function('f')", Type.UNKNOWN),
        ("custom_function('abs', $variable.`u`)", Type.NUMBER),
        ("inside_circle(1, 2, 3, 4, 5)", Type.BOOL),
    ],
)
def test_the_type_follows_from_the_kinds_of_signals(text, its_type):
    assert parse(text, KINDS.get).type is its_type


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("$variable.`n` && 'x'", "character 18: the text 'x' stands where && takes numbers and booleans"),
        ("$variable.`t` < 1", "character 1: a text stands where < takes numbers and booleans"),
        ("1 < $variable.`t` + 'x'", "character 5: a text stands where < takes numbers"),
        ("!$variable.`t`", "character 2: a text stands where ! takes"),
        ("-'x'", "character 2: the text 'x' stands where - takes"),
        ("$variable.`n` + 'x'", "character 1: a number stands here, a text on the other side of +"),
        ("$variable.`t` == true", "character 18: a boolean stands here, a text on the other side of =="),
        ("custom_function('f', 'x' * 2)", "character 22: the text 'x' stands where * takes"),
        ("custom_function('abs', $variable.`t`)", "character 24: a text stands where abs takes"),
        ("held($variable.`t`, 1 s)", "character 1: held takes a condition, but what it holds is a text"),
        ("1 > 0 && rate($variable.`t`) > 1", "character 10: t is a text; windows and rates are of numbers"),
        ("inside_circle('x', 2, 3, 4, 5)", "character 15: the text 'x' stands where inside_circle takes"),
        ("inside_polygon(1, 'x', '0 0, 1 0, 1 1')", "character 19: the text 'x' stands where inside_polygon"),
    ],
)  # fmt: skip
def test_types_that_clash_are_told_with_their_place(text, place):
    with pytest.raises(BadInput) as refused:
        parse(text, KINDS.get)

    assert place in str(refused.value)


def test_the_limits_are_where_they_are_said_to_be():
    sums = " + ".join(["1"] * EXPRESSION_MAX_DEPTH)
    assert parse(sums).type is Type.NUMBER
    with pytest.raises(BadInput, match="character 1: nested deeper than 32 levels"):
        parse(f"{sums} + 1")

    def tree(leaves):
        return "true" if leaves == 1 else f"({tree(leaves // 2)}&&{tree(leaves - leaves // 2)})"

    assert parse(tree(EXPRESSION_MAX_NODES // 2)).type is Type.BOOL
    with pytest.raises(BadInput, match="more than 512 values and operators"):
        parse(tree(EXPRESSION_MAX_NODES // 2 + 1))

    def named(signals):
        return "custom_function('f', " + ", ".join(f"$variable.`{n}`" for n in range(signals)) + ")"

    assert len(parse(named(EXPRESSION_MAX_SIGNALS)).signals) == EXPRESSION_MAX_SIGNALS
    with pytest.raises(BadInput, match="character 1: the expression names 65 signals; at most 64"):
        parse(named(EXPRESSION_MAX_SIGNALS + 1))

    assert parse("1".ljust(EXPRESSION_MAX_CHARACTERS)).text == "1"
    with pytest.raises(BadInput, match="has 4097 characters; at most 4096"):
        parse("1".ljust(EXPRESSION_MAX_CHARACTERS + 1))

    assert parse(f"$variable.`{'x' * 150}`").signals == ("x" * 150,)
    with pytest.raises(BadInput, match="character 1: a signal's name has more than 150 characters"):
        parse(f"$variable.`{'x' * 151}`")

    with pytest.raises(BadInput, match="max_depth is 33; at most 32 is possible"):
        parse("1", max_depth=33)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4000,
        "!" * 4000,
        "-" * 4000,
        "((((((((((" * 30 + "1" + "))))))))))" * 30,
        "1+" * 2000 + "1",
        "true||" * 600 + "true",
        "custom_function('f'," * 150,
        "custom_function('f'," * 150 + "1" + ")" * 150,
        "held(custom_function('f'," * 100,
        "'" + "\\'" * 2000,
        "$variable.`" * 300,
        "custom_function('f'" + ",custom_function('f')" * 180 + ")",
        "1e" + "9" * 4000,
        "0." + "0" * 4000,
        "held(true, 1." + "0" * 4000 + " s)",
        "held(true, 1e-999999999 s)",
        "held(true, 1e999999999 s)",
    ],
)
def test_what_is_made_to_hurt_is_refused_or_read_at_once(text):
    begin_s = time.process_time()  # its own work: others may keep the machine busy
    with contextlib.suppress(BadInput):
        assert isinstance(parse(text), Expression)

    assert time.process_time() - begin_s < 1.0


WORDS = st.sampled_from(
    ("1", "2.5", "'a'", "true", "$variable.`x`", "(", ")", ",", "!", "-", "+", "*", "/", "&&", "||", "<", "==",
     "held(", "2 s", "isNull(", "rate(", "custom_function(", "'abs'", "last_window_min(", "inside_polygon(",
     "'0 0, 1 0, 1 1'", "\\", "`", "$", "\x00", "\ud800", "é", "٣", "\u2028")
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map(" ".join)))
@example("$variable.`\ud800`")
@example("'\ud800'")
@example("٣")
def test_garbage_is_refused_and_nothing_else(text):
    try:
        assert isinstance(parse(text), Expression)
    except BadInput as refused:
        assert str(refused).startswith("character ")  # noqa: PT017 - most garbage is refused, some is not
