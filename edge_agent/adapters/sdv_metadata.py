"""What the catalogue says of signals, as the metadata of `sdv.databroker.v1`."""

from edge_agent.adapters.kuksa_metadata import allowed_of, as_typed
from edge_agent.adapters.kuksa_values import member_of
from fairway.catalog.model import Leaf
from fairway.foreign.sdv.databroker.v1 import types_pb2

_CHANGES = {"static": "STATIC", "onchange": "ON_CHANGE", "continuous": "CONTINUOUS"}


def metadata(leaf: Leaf, number: int) -> types_pb2.Metadata:
    """Return what is known of a signal."""
    made = types_pb2.Metadata(
        id=number,
        entry_type=types_pb2.EntryType.Value(f"ENTRY_TYPE_{leaf.type.upper()}"),
        name=leaf.path,
        data_type=types_pb2.DataType.Value(_name(leaf.datatype)),
        change_type=types_pb2.ChangeType.Value(_CHANGES.get(leaf.change_type, "CONTINUOUS")),
        description=leaf.description,
    )
    datatype = leaf.datatype.removesuffix("[]")
    member = member_of(datatype)
    for name, bound in (("min", leaf.min), ("max", leaf.max)):
        typed = None if bound is None else as_typed(datatype, bound)
        if typed is not None and datatype not in ("string", "boolean"):
            setattr(getattr(made, name), member, typed)
    allowed = allowed_of(leaf)
    if allowed and datatype != "boolean":
        getattr(made.allowed, f"{member}_values").values.extend(allowed)
    return made


def _name(datatype: str) -> str:
    inner = datatype.removesuffix("[]").upper().replace("BOOLEAN", "BOOL")
    return f"{inner}_ARRAY" if datatype.endswith("[]") else inner
