"""A vehicle whose brake ECU is to get brake-fw 2, and holds 1."""

import pytest

from tests.ota.repository_simulator import World


@pytest.fixture
def world() -> World:
    """Everything is as it should be."""
    world = World()
    world.hold("br-1", "brake-fw", 1)
    world.hold("gw-1", "gateway-os", 1)
    world.release("brake/1.bin", "brake-fw", 1, hardware="brake")
    world.release("brake/2.bin", "brake-fw", 2, hardware="brake")
    world.order("br-1", "brake/2.bin")
    world.publish()
    return world
