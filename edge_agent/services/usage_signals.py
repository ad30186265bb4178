"""What services take, as signals of the vehicle: apps and services read it like any other.

    tyre-watch > Vehicle.Private.Services.TyreWatch.{State,IsReady,CpuUsage,MemoryUsage,Restarts}

Rule 1: VSS leaves Vehicle.Private to whoever builds the vehicle: no path of the standard can be hit.
Rule 2: a service has its signals from the start of the agent that first knew it; a path is never another's.
"""

from collections.abc import Iterable

from edge_agent.services.numbers import AllNumbers
from fairway.catalog.model import Leaf

BRANCH = "Vehicle.Private.Services"


def node_of(name: str) -> str:
    """Return a service's name as VSS spells nodes; two names that would be spelt alike keep an underscore."""
    return "".join(
        f"_{part}" if part[:1].isdigit() and number else part[:1].upper() + part[1:]
        for number, part in enumerate(name.replace("--", "-X-").split("-"))
    )


def leaves(names: Iterable[str]) -> tuple[Leaf, ...]:
    """Return what a catalogue says of the signals of services."""
    made = []
    for name in names:
        path = f"{BRANCH}.{node_of(name)}"
        made += [
            Leaf(f"{path}.State", "string", "sensor", description=f"How {name} stands."),
            Leaf(f"{path}.IsReady", "boolean", "sensor", description=f"Whether {name} serves."),
            Leaf(
                f"{path}.CpuUsage",
                "float",
                "sensor",
                unit="percent",
                min=0,
                description=f"What {name} takes of one core.",
            ),
            Leaf(
                f"{path}.MemoryUsage",
                "uint64",
                "sensor",
                unit="byte",
                description=f"The memory that {name} takes.",
            ),
            Leaf(
                f"{path}.Restarts",
                "uint32",
                "sensor",
                description=f"How often {name} was started again since the agent started.",
            ),
        ]
    return tuple(made)


def values(numbers: AllNumbers) -> dict[str, float | str]:
    """Return the values of all those signals, by path."""
    found: dict[str, float | str] = {}
    for one in numbers.services:
        path = f"{BRANCH}.{node_of(one.name)}"
        found |= {
            f"{path}.State": one.state,
            f"{path}.IsReady": float(one.is_ready),
            f"{path}.CpuUsage": round(one.cpu * 100, 2),
            f"{path}.MemoryUsage": float(one.memory_bytes),
            f"{path}.Restarts": float(one.restarts),
        }
    return found
