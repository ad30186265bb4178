"""One file of the agent puts frames on a bus: nobody goes around the allow-list."""

import ast
from pathlib import Path

AGENT = Path(__file__).parents[2] / "edge_agent"
# The one that asks the allow-lists, whoever goes through it, and a bus's own inner parts.
KNOWN = {
    "adapters/outbound_bus.py sender",
    "adapters/actuators.py _buses",
    "adapters/ecu_buses.py _buses",
    "adapters/socketcan.py _frames",
}
# What these call `send` is a connection to a cloud, a kernel's socket, or the function that a reader gave.
OTHERS = {"uplink", "_uplink", "sock", "_socket", "socket", "device", "theirs", "connection"} | {
    "pidfds",  # signals to processes
    "talk",  # with a container engine
    "steps",  # of the verification of updates
}


def test_only_the_outbound_bus_calls_send_of_a_bus():
    found = {
        f"{path.relative_to(AGENT)} {name(node.func.value)}"
        for path in AGENT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("send", "send_nowait")
        and name(node.func.value) not in OTHERS
    }

    assert found == KNOWN


def name(node: ast.expr) -> str:
    return (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else "?"
    )
