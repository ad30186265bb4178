"""What the catalogue says of signals, as the metadata of `kuksa.val.v2`."""

from edge_agent.adapters.kuksa_values import DATA_TYPES, ENTRY_TYPES, fill, member_of
from edge_agent.broker.vehicle import VehicleData
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES, Leaf, Scalar
from fairway.clock import NS_PER_MS
from fairway.foreign.kuksa.val.v2 import types_pb2


def metadata(data: VehicleData, number: int) -> types_pb2.Metadata:
    """Return what is known of a signal."""
    leaf = data.signals[number]
    made = types_pb2.Metadata(
        path=leaf.path,
        id=number,
        data_type=DATA_TYPES[leaf.datatype],
        entry_type=ENTRY_TYPES[leaf.type],
        description=leaf.description,
        comment=leaf.comment,
        deprecation=leaf.deprecation,
        unit=leaf.unit,
    )
    datatype = leaf.datatype.removesuffix("[]")
    member = member_of(datatype)
    for name, bound in (("min", leaf.min), ("max", leaf.max)):
        typed = None if bound is None else as_typed(datatype, bound)
        if typed is not None and datatype not in ("string", "boolean"):
            fill(getattr(made, name), member, typed)
    if allowed := allowed_of(leaf):
        fill(made.allowed_values, member + "_array", allowed)
    provider = data.providers.of_signal(number)
    if provider is not None and (interval_ns := provider.signals[number]):
        made.min_sample_interval.interval_ms = interval_ns // NS_PER_MS
    return made


def allowed_of(leaf: Leaf) -> tuple[Scalar, ...]:
    """Return the allowed values of a leaf, as its data type has them; what it cannot have is left out."""
    datatype = leaf.datatype.removesuffix("[]")
    typed = (as_typed(datatype, value) for value in leaf.allowed)
    return tuple(value for value in typed if value is not None)


def as_typed(datatype: str, value: Scalar) -> Scalar | None:
    """Return what a catalogue wrote as a value of a data type; None when it is none."""
    if datatype == "string" or isinstance(value, str):
        return value if isinstance(value, str) and datatype == "string" else None
    if datatype == "boolean":
        return bool(value)
    if datatype in FLOAT_RANGES:
        return float(value)
    low, high = INTEGER_RANGES[datatype]
    return int(value) if low <= value <= high else None
