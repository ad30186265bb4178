"""Conditions: trees of FleetWise's wire over numbers of signals <-> expressions of the campaign language.

    $variable.`Vehicle.Speed` > 50      operator(>, signal 17, number 50)

Rule 1: what FleetWise's agents have no word for (held, rate, places) is refused on the way out, by its name.
Rule 2: `-x` leaves as `0 - x`: the wire has no minus before one operand.
Rule 3: a tree that comes in is within the limits of the campaign language, or a BadInput.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fairway.errors import BadInput
from fairway.expression.campaign import (
    EXPRESSION_MAX_CHARACTERS,
    EXPRESSION_MAX_DEPTH,
    FLEETWISE_MAX_DEPTH,
    Binary,
    Boolean,
    Call,
    Custom,
    Expression,
    Function,
    IsNull,
    Node,
    Number,
    Operator,
    Read,
    Text,
    Unary,
    UnaryOperator,
    Variable,
    Window,
    WindowFunction,
    expression_of,
    parse,
)
from fairway.fleetwise.names import SignalNames
from fairway.foreign.fleetwise.v1 import condition_pb2 as v1

_OPERATORS = {
    v1.CONDITION_OPERATOR_LESS: Operator.LESS,
    v1.CONDITION_OPERATOR_GREATER: Operator.GREATER,
    v1.CONDITION_OPERATOR_LESS_EQUAL: Operator.LESS_EQUAL,
    v1.CONDITION_OPERATOR_GREATER_EQUAL: Operator.GREATER_EQUAL,
    v1.CONDITION_OPERATOR_EQUAL: Operator.EQUAL,
    v1.CONDITION_OPERATOR_NOT_EQUAL: Operator.NOT_EQUAL,
    v1.CONDITION_OPERATOR_AND: Operator.AND,
    v1.CONDITION_OPERATOR_OR: Operator.OR,
    v1.CONDITION_OPERATOR_PLUS: Operator.PLUS,
    v1.CONDITION_OPERATOR_MINUS: Operator.MINUS,
    v1.CONDITION_OPERATOR_MULTIPLY: Operator.MULTIPLY,
    v1.CONDITION_OPERATOR_DIVIDE: Operator.DIVIDE,
}
_NUMBERS = {operator: number for number, operator in _OPERATORS.items()}
_WINDOWS = {
    v1.WINDOW_KIND_LAST_MIN: (WindowFunction.MIN, False),
    v1.WINDOW_KIND_LAST_MAX: (WindowFunction.MAX, False),
    v1.WINDOW_KIND_LAST_AVG: (WindowFunction.AVG, False),
    v1.WINDOW_KIND_PREVIOUS_MIN: (WindowFunction.MIN, True),
    v1.WINDOW_KIND_PREVIOUS_MAX: (WindowFunction.MAX, True),
    v1.WINDOW_KIND_PREVIOUS_AVG: (WindowFunction.AVG, True),
}
_KINDS = {window: kind for kind, window in _WINDOWS.items()}
# Functions of FleetWise's own agent; the places are ours.
_MATHEMATICAL = frozenset(Function) - {Function.INSIDE_CIRCLE, Function.INSIDE_POLYGON}
_ARGUMENTS_MAX = 64


def compiled(text: str, names: SignalNames) -> tuple[v1.ConditionNode, Expression]:
    """Return the tree of an expression, and the expression.

    Raises BadInput for one that FleetWise's agents cannot evaluate, or that names a signal without a number.
    """
    expression = parse(
        text, names.kind, max_characters=EXPRESSION_MAX_CHARACTERS, max_depth=FLEETWISE_MAX_DEPTH
    )
    return _message(expression.tree, names), expression


def expression_from(message: v1.ConditionNode, names: SignalNames) -> Expression:
    """Return the expression of a tree, in its canonical text.  Raises BadInput."""
    return expression_of(_tree(message, names, EXPRESSION_MAX_DEPTH))


def _message(node: Node, names: SignalNames) -> v1.ConditionNode:
    match node:
        case Unary():
            return _unary(node, names)
        case Binary(operator, left, right):
            both = v1.OperatorNode(
                left=_message(left, names),
                right=_message(right, names),
                operator=_NUMBERS[operator],
            )
            return v1.ConditionNode(operator=both)
        case Call(function, arguments):
            return _call(function, arguments, names)
        case Read():
            return _read(node, names)
        case _:
            return _constant(node)


def _constant(node: Number | Boolean | Text) -> v1.ConditionNode:
    if isinstance(node, Text):
        return v1.ConditionNode(text=node.value)
    if isinstance(node, Boolean):
        return v1.ConditionNode(truth=node.value)
    return v1.ConditionNode(number=node.value)


def _unary(node: Unary, names: SignalNames) -> v1.ConditionNode:
    if node.operator is UnaryOperator.NEGATE:
        return _message(Binary(Operator.MINUS, Number(0.0), node.operand), names)
    negated = v1.OperatorNode(
        left=_message(node.operand, names), operator=v1.CONDITION_OPERATOR_NOT
    )
    return v1.ConditionNode(operator=negated)


def _call(function: Function, arguments: Sequence[Node], names: SignalNames) -> v1.ConditionNode:
    if function not in _MATHEMATICAL:
        raise BadInput(f"{function} is unknown to the agents of FleetWise: leave it out for them")
    return _custom(function, [_message(one, names) for one in arguments])


def _custom(name: str, arguments: Sequence[v1.ConditionNode]) -> v1.ConditionNode:
    custom = v1.CustomNode(name=name, arguments=arguments)
    return v1.ConditionNode(function=v1.FunctionNode(custom=custom))


def _read(node: Read, names: SignalNames) -> v1.ConditionNode:
    match node.input:
        case Variable(name):
            return v1.ConditionNode(signal_id=_id(name, names))
        case IsNull(name):
            operand = v1.ConditionNode(signal_id=_id(name, names))
            return v1.ConditionNode(
                function=v1.FunctionNode(is_null=v1.IsNullNode(operand=operand))
            )
        case Window(name, function, previous):
            window = v1.WindowNode(signal_id=_id(name, names), kind=_KINDS[(function, previous)])
            return v1.ConditionNode(function=v1.FunctionNode(window=window))
        case Custom(name, arguments):
            return _custom(name, [_message(one.tree, names) for one in arguments])
        case found:
            word = type(found).__name__.lower()
            raise BadInput(
                f"{word}(...) is unknown to the agents of FleetWise: leave it out for them"
            )


def _id(name: str, names: SignalNames) -> int:
    number = names.id(name)
    if number is None:
        raise BadInput(f"the condition names {name}, which the decoder manifest has no number for")
    return number


def _tree(message: v1.ConditionNode, names: SignalNames, depth: int) -> Node:
    if depth <= 0:
        raise BadInput(f"a condition is nested deeper than {EXPRESSION_MAX_DEPTH} levels")
    kind = message.WhichOneof("node")
    if kind is None or kind not in _NODES:
        raise BadInput(
            "a condition looks into a structured signal, which is not done here"
            if kind == "signal_part"
            else "a condition has an empty node, or one of a later version"
        )
    return _NODES[kind](message, names, depth)


def _operator_of(message: v1.ConditionNode, names: SignalNames, depth: int) -> Node:
    found = message.operator
    left = _tree(found.left, names, depth - 1)
    if found.operator == v1.CONDITION_OPERATOR_NOT:
        return Unary(UnaryOperator.NOT, left)
    operator = _OPERATORS.get(found.operator)
    if operator is None:
        raise BadInput(f"a condition has operator {found.operator}, which is of a later version")
    return Binary(operator, left, _tree(found.right, names, depth - 1))


def _function_of(message: v1.ConditionNode, names: SignalNames, depth: int) -> Node:
    found = message.function
    match found.WhichOneof("function"):
        case "window":
            return _window_of(found.window, names)
        case "is_null":
            operand = _tree(found.is_null.operand, names, depth - 1)
            if not isinstance(operand, Read) or not isinstance(operand.input, Variable):
                raise BadInput("a condition asks isNull of something else than a signal")
            return Read(IsNull(operand.input.name))
        case "custom":
            return _custom_of(found.custom, names, depth)
        case _:
            raise BadInput("a condition has an empty function, or one of a later version")


def _window_of(message: v1.WindowNode, names: SignalNames) -> Node:
    if message.WhichOneof("signal") != "signal_id" or message.kind not in _WINDOWS:
        raise BadInput("a condition has a window over a structured signal, or of a later version")
    function, previous = _WINDOWS[message.kind]
    return Read(Window(_name(message.signal_id, names), function, previous))


def _custom_of(message: v1.CustomNode, names: SignalNames, depth: int) -> Node:
    if len(message.arguments) > _ARGUMENTS_MAX:
        raise BadInput(f"a function of a condition has over {_ARGUMENTS_MAX} arguments")
    arguments = [_tree(one, names, depth - 1) for one in message.arguments]
    if message.name in _MATHEMATICAL:
        return Call(Function(message.name), tuple(arguments))
    return Read(Custom(message.name, tuple(expression_of(one) for one in arguments)))


def _name(number: int, names: SignalNames) -> str:
    found = names.name(number)
    if found is None:
        raise BadInput(
            f"a condition names signal {number}, which the decoder manifest does not have"
        )
    return found


_NODES: dict[str, Callable[[Any, SignalNames, int], Node]] = {
    "operator": _operator_of,
    "function": _function_of,
    "number": lambda message, _names, _depth: Number(message.number),
    "truth": lambda message, _names, _depth: Boolean(message.truth),
    "text": lambda message, _names, _depth: Text(message.text),
    "signal_id": lambda message, names, _depth: Read(Variable(_name(message.signal_id, names))),
}
