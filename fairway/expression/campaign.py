"""The campaign language, all of it by one import.

    expression = parse("$variable.`Speed` > 50 && !isNull($variable.`Gear`)")
    expression.inputs                            (Variable("Speed"), IsNull("Gear"))
    scalar(expression)([60.0, False])            True
    columns(expression)([speeds, are_null])      a Column of booleans
    explain(expression, [40.0, False])           "$variable.`Speed` > 50" is the culprit

What the language means: docs/reference/campaign-language.md.
"""

from fairway.expression.campaign_columns import Column, columns
from fairway.expression.campaign_explain import Part, explain, is_true
from fairway.expression.campaign_parser import (
    EXPRESSION_MAX_CHARACTERS,
    EXPRESSION_MAX_DEPTH,
    EXPRESSION_MAX_NODES,
    EXPRESSION_MAX_SIGNALS,
    FLEETWISE_MAX_CHARACTERS,
    FLEETWISE_MAX_DEPTH,
    expression_of,
    parse,
)
from fairway.expression.campaign_scalar import EQUALITY_TOLERANCE, scalar
from fairway.expression.campaign_text import text
from fairway.expression.campaign_tree import (
    Binary,
    Boolean,
    Call,
    Custom,
    Expression,
    Function,
    Held,
    Input,
    IsNull,
    Node,
    Number,
    Operator,
    Rate,
    Read,
    Text,
    Type,
    Unary,
    UnaryOperator,
    Value,
    Variable,
    Window,
    WindowFunction,
    children,
    inputs_of,
    walk,
)
from fairway.expression.campaign_types import check_types

__all__ = [
    "EQUALITY_TOLERANCE",
    "EXPRESSION_MAX_CHARACTERS",
    "EXPRESSION_MAX_DEPTH",
    "EXPRESSION_MAX_NODES",
    "EXPRESSION_MAX_SIGNALS",
    "FLEETWISE_MAX_CHARACTERS",
    "FLEETWISE_MAX_DEPTH",
    "Binary",
    "Boolean",
    "Call",
    "Column",
    "Custom",
    "Expression",
    "Function",
    "Held",
    "Input",
    "IsNull",
    "Node",
    "Number",
    "Operator",
    "Part",
    "Rate",
    "Read",
    "Text",
    "Type",
    "Unary",
    "UnaryOperator",
    "Value",
    "Variable",
    "Window",
    "WindowFunction",
    "check_types",
    "children",
    "columns",
    "explain",
    "expression_of",
    "inputs_of",
    "is_true",
    "parse",
    "scalar",
    "text",
    "walk",
]
