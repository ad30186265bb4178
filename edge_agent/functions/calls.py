"""Which function of a campaign a call in its condition means.

    custom_function('python', 'histogram', x)                                       ours: name, arguments
    custom_function('python', 'custom-function-python-histogram', 'histogram', x)   FleetWise's: where, module

Rule 1: FleetWise's form first: a document that runs there means the same here.  Where the module is to be
        found says nothing to us, its source came with the campaign.
Rule 2: what a call means is settled when it is first made, as in FleetWise's agent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge_agent.functions.messages import Value
from fairway.errors import BadInput

PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Target:
    """A function, and how many arguments before its own only said which."""

    name: str
    skipped: int


def target(arguments: Sequence[Value | None], names: Collection[str]) -> Target:
    """Return what a call of 'python' means.  Raises BadInput when the campaign has no such function."""
    for position in (1, 0):
        if len(arguments) > position and _is_name(arguments[: position + 1], names):
            return Target(str(arguments[position]), position + 1)
    wanted = " or ".join(repr(one)[:100] for one in arguments[:2] if isinstance(one, str))
    if not wanted:
        raise BadInput(
            "custom_function('python', ...) needs the name of a function of its campaign"
        )
    raise BadInput(
        f"the campaign has no function {wanted}; its document carries {', '.join(names) or 'none'}"
    )


def _is_name(arguments: Sequence[Value | None], names: Collection[str]) -> bool:
    return all(isinstance(one, str) for one in arguments) and arguments[-1] in names
