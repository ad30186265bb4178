"""A vehicle model (model manifest): which nodes of a catalog a kind of vehicle has.

    DRAFT --activate--> ACTIVE, for ever

Rule 1: every node is one of the catalog's, and stays so: the catalog keeps what models use.
Rule 2: an ACTIVE manifest does not change: vehicles and decoders were made for it as it is.
Rule 3: it is checked when it is asked for, so no manifest is ever VALIDATING or INVALID here.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from fleet_cloud.models.catalog import DECODED, NODES_MAX, Nodes, kind_of
from fleet_cloud.models.refusals import BadField, BadSignals, InTheWay, TooMany


class Status(StrEnum):
    """Whether a manifest may still change."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"


def status_after(kind: str, name: str, before: str, wanted: str | None, changes: bool) -> Status:  # noqa: FBT001
    """Return the status of a manifest after an update that wants one, and perhaps `changes` it besides.

    Raises BadField, InTheWay.
    """
    if wanted is not None and wanted not in list(Status):
        raise BadField("status", f"{wanted} is what a check comes to: set {' or '.join(Status)}")
    if before == Status.ACTIVE and (changes or wanted == Status.DRAFT):
        raise InTheWay(kind, name, f"the {kind} {name} is ACTIVE, and does not change any more")
    return Status(wanted or before)


def with_nodes(
    before: Iterable[str], add: Sequence[str], remove: Sequence[str], catalog: Nodes
) -> list[str]:
    """Return the paths of a model after an update, in order.  Raises BadSignals, BadField, TooMany."""
    both = set(add) & set(remove)
    if both:
        raise BadField("nodesToRemove", f"{min(both)} is to be added as well")
    unknown = [
        (path, "the node is not in the signal catalog") for path in add if path not in catalog
    ]
    if unknown:
        raise BadSignals(unknown)
    paths = set(before)
    absent = [(path, "the node is not in the model") for path in remove if path not in paths]
    if absent:
        raise BadSignals(absent)
    after = sorted((paths | set(add)) - set(remove))
    if len(after) > NODES_MAX:
        raise TooMany("model-manifest", "nodes", f"a model has {NODES_MAX} nodes at most")
    return after


def decoded(paths: Iterable[str], catalog: Nodes) -> list[str]:
    """Return which of a model's nodes need a decoder."""
    return [path for path in paths if kind_of(catalog[path]) in DECODED]
