"""The evaluator for one row: a tree becomes one Python function.

    $variable.`a` > 5 && !($variable.`b` == 1)

    def evaluate(values):
        v0, v1, = values
        ...                                                           every input is checked, once
        return ((v0 > (5.0)) and (not (-0.001 < v1 - (1.0) < 0.001)))

Rule 1: the text of the function comes from the tree's shape: names are generated, numbers are literals, texts
        and everything else stand in its namespace.
Rule 2: an input without a value makes the result None, and so does one of the wrong type: nothing is skipped in
        FleetWise, so one look at all inputs, before anything else, says all there is to say about types.
Rule 3: arithmetic is C++'s: a division by zero is infinite or NaN, comparisons with NaN are false, NaN is true.
"""

import math
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from fairway.errors import BadInput
from fairway.expression import campaign_functions as functions
from fairway.expression.campaign_classes import NUMBERS, TEXTS, classes_of
from fairway.expression.campaign_tree import (
    Binary,
    Boolean,
    Call,
    Expression,
    Function,
    Input,
    Node,
    Operator,
    Read,
    Text,
    Unary,
    UnaryOperator,
    Value,
)

# FleetWise's: what is less than this apart is equal.
EQUALITY_TOLERANCE = 0.001

Evaluator: TypeAlias = Callable[[Sequence[Value | None]], Value | None]

_EQUALITIES = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
_ORDERINGS = frozenset(
    {Operator.GREATER, Operator.GREATER_EQUAL, Operator.LESS, Operator.LESS_EQUAL}
)
_FUNCTIONS: dict[Function, Callable[..., float | bool | None]] = {
    Function.ABS: abs,
    Function.MIN: functions.least,
    Function.MAX: functions.greatest,
    Function.POW: functions.power,
    Function.LOG: functions.logarithm,
    Function.CEIL: functions.ceiling,
    Function.FLOOR: functions.floored,
    Function.SIN: functions.sine,
    Function.INSIDE_CIRCLE: functions.in_circle,
}


class _Gives(Enum):
    """What a piece of code gives."""

    FLOAT = 0
    BOOL = 1
    TRUTH = 2  # a float or a bool of which only the truth counts
    TEXT = 3
    EITHER = 4  # a float or a str


_Code: TypeAlias = tuple[str, _Gives]


def scalar(expression: Expression, *, tolerance: float = EQUALITY_TOLERANCE) -> Evaluator:
    """Return the function from the values of `expression.inputs` to the whole's value; None is undefined."""
    check_tolerance(tolerance)
    if isinstance(expression.tree, Read):
        return lambda values: plain(values[0])
    classes = classes_of(expression.tree)
    if classes is None:
        return lambda _values: None
    return _Writer(expression.inputs, classes, tolerance).function(expression.tree)


def check_tolerance(tolerance: float) -> None:
    """Raise BadInput unless `tolerance` is finite and not negative; 0 means exactly equal."""
    if not (math.isfinite(tolerance) and tolerance >= 0.0):
        raise BadInput(f"the equality tolerance is {tolerance}; it must be 0 or more")


def plain(value: object) -> Value | None:
    """Return a value as a bool, float or str of Python's own; None for what is none of them."""
    return bool(value) if isinstance(value, bool | np.bool_) else _as_either(value)


def _as_float(value: object) -> float | None:
    if not isinstance(value, float | int | np.floating | np.integer | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _as_text(value: object) -> str | None:
    return str(value) if isinstance(value, str) else None


def _as_either(value: object) -> float | str | None:
    return str(value) if isinstance(value, str) else _as_float(value)


class _Writer:
    """Writes the function of one tree; each method returns code that has no side effects, and what it gives."""

    def __init__(
        self, inputs: tuple[Input, ...], classes: dict[Input, int], tolerance: float
    ) -> None:
        self._names = {read: f"v{number}" for number, read in enumerate(inputs)}
        self._classes = classes
        self._tolerance = tolerance
        self._lines: list[str] = []
        self._values: dict[str, Any] = {
            "__builtins__": {},
            "as_float": _as_float,
            "as_text": _as_text,
            "as_either": _as_either,
            "float": float,
            "str": str,
            "divided": functions.divided,
        }

    def function(self, tree: Node) -> Evaluator:
        """Return the compiled function."""
        self._check_inputs()
        code, kind = self._code(tree)
        self._lines.append(f"return {f'not not {code}' if kind is _Gives.TRUTH else code}")
        body = "\n".join(f"    {line}" for line in self._lines)
        exec(compile(f"def evaluate(values):\n{body}", "<campaign>", "exec"), self._values)
        evaluate: Evaluator = self._values["evaluate"]
        return evaluate

    def _check_inputs(self) -> None:
        if self._names:
            self._lines.append(f"{', '.join(self._names.values())}, = values")
        checked: set[int] = set()
        for read, name in self._names.items():
            group = self._classes[read]
            wanted = {NUMBERS: "float", TEXTS: "text"}.get(group, "either")
            own = "str" if group == TEXTS else "float"
            self._lines += [
                f"if {name}.__class__ is not {own}:",
                f"    {name} = as_{wanted}({name})",
                f"    if {name} is None: return None",
            ]
            if wanted == "either" and group in checked:
                self._lines.append(
                    f"if ({name}.__class__ is str) is not is_text{group}: return None"
                )
            elif wanted == "either":
                self._lines.append(f"is_text{group} = {name}.__class__ is str")
                checked.add(group)

    def _code(self, node: Node) -> _Code:
        if isinstance(node, Read):
            kinds = {NUMBERS: _Gives.FLOAT, TEXTS: _Gives.TEXT}
            return self._names[node.input], kinds.get(self._classes[node.input], _Gives.EITHER)
        if isinstance(node, Binary):
            return self._binary(node)
        if isinstance(node, Unary):
            return self._unary(node)
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, Text):
            return self._constant(node.value), _Gives.TEXT
        return f"({node.value!r})", _Gives.BOOL if isinstance(node, Boolean) else _Gives.FLOAT

    def _unary(self, node: Unary) -> _Code:
        code, kind = self._code(node.operand)
        if node.operator is UnaryOperator.NOT:
            return f"(not {code})", _Gives.BOOL
        return f"(-{_number(code, kind)})", _Gives.FLOAT

    def _binary(self, node: Binary) -> _Code:
        left, right = self._code(node.left), self._code(node.right)
        if node.operator in (Operator.AND, Operator.OR):
            word = "and" if node.operator is Operator.AND else "or"
            is_bool = left[1] is right[1] is _Gives.BOOL
            return f"({left[0]} {word} {right[0]})", _Gives.BOOL if is_bool else _Gives.TRUTH
        if node.operator in _EQUALITIES:
            return self._equality(node, left, right)
        numbers = _number(*left), _number(*right)  # or texts on both sides of +
        if node.operator is Operator.DIVIDE:
            return self._division(*numbers), _Gives.FLOAT
        kind = left[1] if left[1] in (_Gives.TEXT, _Gives.EITHER) else _Gives.FLOAT
        code = f"({numbers[0]} {node.operator} {numbers[1]})"
        return code, _Gives.BOOL if node.operator in _ORDERINGS else kind

    def _equality(self, node: Binary, left: _Code, right: _Code) -> _Code:
        same = f"({_number(*left)} == {_number(*right)})"
        near = same
        if self._tolerance and left[1] is not _Gives.TEXT:
            apart = f"{_number(*left)} - {_number(*right)}"
            near = f"({-self._tolerance!r} < {apart} < {self._tolerance!r})"
        if left[1] is _Gives.EITHER and self._tolerance:
            near = f"({same} if {self._is_text(node.left)} else {near})"
        return (f"(not {near})" if node.operator is Operator.NOT_EQUAL else near), _Gives.BOOL

    def _is_text(self, node: Node) -> str:
        while not isinstance(node, Read):  # a sum of inputs, which are all of one class
            assert isinstance(node, Binary)
            node = node.left
        return f"is_text{self._classes[node.input]}"

    def _division(self, left: str, right: str) -> str:
        left, right = self._named(left), self._named(right)
        return f"({left} / {right} if {right} else divided({left}, {right}))"

    def _call(self, node: Call) -> _Code:
        if node.function is Function.INSIDE_POLYGON:
            function: Any = partial(functions.in_polygon, functions.polygon_of_call(node))
            arguments = node.arguments[:2]
        else:
            function, arguments = _FUNCTIONS[node.function], node.arguments
        values = ", ".join(_number(*self._code(argument)) for argument in arguments)
        name = self._named(f"{self._constant(function)}({values})")
        self._lines.append(f"if {name} is None: return None")
        is_place = node.function in (Function.INSIDE_CIRCLE, Function.INSIDE_POLYGON)
        return name, _Gives.BOOL if is_place else _Gives.FLOAT

    def _constant(self, value: object) -> str:
        name = f"k{len(self._values)}"
        self._values[name] = value
        return name

    def _named(self, code: str) -> str:
        if code.isidentifier():
            return code
        name = f"t{len(self._lines)}"
        self._lines.append(f"{name} = {code}")
        return name


def _number(code: str, kind: _Gives) -> str:
    return f"(1.0 if {code} else 0.0)" if kind in (_Gives.BOOL, _Gives.TRUTH) else code
