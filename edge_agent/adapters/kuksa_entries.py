"""Entries of `kuksa.val.v1`: what a view or a list of fields asks for, of one leaf."""

from collections.abc import Iterable, Sequence

from edge_agent.adapters.kuksa_metadata import allowed_of
from edge_agent.adapters.kuksa_values import DATA_TYPES, ENTRY_TYPES, fill, stamp
from edge_agent.broker.changes import Changes
from edge_agent.broker.store import value_of
from edge_agent.broker.values import Value
from edge_agent.broker.vehicle import VehicleData
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf
from fairway.foreign.kuksa.val.v1 import types_pb2

_PATH, _VALUE = types_pb2.FIELD_PATH, types_pb2.FIELD_VALUE
_TARGET, _METADATA = types_pb2.FIELD_ACTUATOR_TARGET, types_pb2.FIELD_METADATA
_EVERYTHING = frozenset((_PATH, _VALUE, _TARGET, _METADATA))
_VIEWS: dict[int, frozenset[int]] = {
    types_pb2.VIEW_CURRENT_VALUE: frozenset((_VALUE,)),
    types_pb2.VIEW_TARGET_VALUE: frozenset((_TARGET,)),
    types_pb2.VIEW_METADATA: frozenset((_METADATA,)),
    types_pb2.VIEW_ALL: _EVERYTHING,
}


def fields_of(view: int, fields: Iterable[int]) -> frozenset[int]:
    """Return which of path, value, target and metadata are asked for; without anything, the value."""
    wanted = set(_VIEWS.get(view, frozenset()))
    for field in fields:
        if field == types_pb2.FIELD_UNSPECIFIED:
            wanted |= _EVERYTHING
        else:
            wanted.add(min(field, _METADATA))  # a part of the metadata is asked for with all of it
    return frozenset(wanted - {_PATH} or {_VALUE})


class V1Entries:
    """Makes entries."""

    def __init__(self, data: VehicleData, members: Sequence[str]) -> None:
        self._data, self._members = data, members

    def entry(self, number: int, fields: Iterable[int]) -> types_pb2.DataEntry:
        """Return a leaf as it is now, with these fields."""
        made = types_pb2.DataEntry(path=self._data.signals[number].path)
        for field in fields:
            if field == _VALUE:
                changes = self._data.current([number]).of
                if changes.is_there[0]:
                    self._fill(made.value, changes, 0)
            elif field == _TARGET:
                asked = self._data.actuation.asked.get(number)
                if asked is not None:
                    self._point(made.actuator_target, number, asked.value, asked.time_ns)
            elif field == _METADATA:
                made.metadata.CopyFrom(_metadata(self._data.signals[number]))
        return made

    def changed(self, changes: Changes, row: int, field: int) -> types_pb2.DataEntry:
        """Return a leaf with what has changed."""
        made = types_pb2.DataEntry(path=self._data.signals[int(changes.ids[row])].path)
        if changes.is_there[row]:
            self._fill(made.value if field == _VALUE else made.actuator_target, changes, row)
        return made

    def _fill(self, point: types_pb2.Datapoint, changes: Changes, row: int) -> None:
        number = int(changes.ids[row])
        value = value_of(self._data.signals, number, float(changes.value[row]), changes.objects)
        self._point(point, number, value, int(changes.time_ns[row]))

    def _point(self, point: types_pb2.Datapoint, number: int, value: Value, time_ns: int) -> None:
        stamp(point.timestamp, time_ns)
        fill(point, self._members[number], value)


def _metadata(leaf: Leaf) -> types_pb2.Metadata:
    made = types_pb2.Metadata(
        data_type=types_pb2.DataType.ValueType(DATA_TYPES[leaf.datatype]),
        entry_type=types_pb2.EntryType.ValueType(ENTRY_TYPES[leaf.type]),
        description=leaf.description,
    )
    for name in ("comment", "deprecation", "unit"):
        if text := getattr(leaf, name):
            setattr(made, name, text)
    getattr(made, leaf.type).SetInParent()
    datatype = leaf.datatype.removesuffix("[]")
    allowed = allowed_of(leaf)
    if datatype == "string":
        made.value_restriction.string.allowed_values.extend(str(value) for value in allowed)
    elif datatype in INTEGER_RANGES or datatype in FLOAT_RANGES:
        _restrict(made.value_restriction, leaf, datatype)
    if not leaf.allowed and leaf.min is None and leaf.max is None:
        made.ClearField("value_restriction")
    return made


def _restrict(made: types_pb2.ValueRestriction, leaf: Leaf, datatype: str) -> None:
    if datatype in FLOAT_RANGES:
        floats = made.floating_point
        floats.allowed_values.extend(float(value) for value in allowed_of(leaf))
        if leaf.min is not None:
            floats.min = leaf.min
        if leaf.max is not None:
            floats.max = leaf.max
        return
    whole = made.unsigned if datatype.startswith("u") else made.signed
    low, high = INTEGER_RANGES[datatype]
    whole.allowed_values.extend(int(value) for value in allowed_of(leaf))
    if leaf.min is not None:
        whole.min = int(max(low, leaf.min))
    if leaf.max is not None:
        whole.max = int(min(high, leaf.max))
