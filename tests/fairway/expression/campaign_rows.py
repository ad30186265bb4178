"""Expressions by the case: one row through both evaluators, which must agree to the last bit."""

import math
import struct

import numpy as np

from fairway.expression.campaign import Column, Type, columns, parse, scalar
from tests.fairway.expression.campaign_trees import values_of


def bits(value):
    """A value of which equal means identical; every NaN is the same."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    return value


def rows_of(column):
    """The rows of a column as the scalar evaluator gives them."""
    return [bits(value) for value in values_of(column)]


def evaluated(text, *values, tolerance=0.001):
    """The value of a text for the values of its inputs."""
    expression = parse(text)
    found = scalar(expression, tolerance=tolerance)(values)
    together = columns(expression, tolerance=tolerance)([column(value) for value in values])
    assert rows_of(together) == [bits(found)]
    return found


def column(*rows):
    """A column of values of one type; None is undefined."""
    known = [row for row in rows if row is not None]
    its_type = {bool: Type.BOOL, str: Type.TEXT}.get(
        type(known[0]) if known else float, Type.NUMBER
    )
    defined = np.array([row is not None for row in rows])
    if its_type is Type.TEXT:
        return Column(np.array(rows, object), defined, its_type)
    return Column(
        np.array([0.0 if row is None else row for row in rows], np.float64), defined, its_type
    )
