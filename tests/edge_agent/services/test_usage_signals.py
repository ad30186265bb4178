"""What services take, as signals."""

from hypothesis import given

from edge_agent.services.numbers import AllNumbers, ServiceNumbers
from edge_agent.services.usage_signals import leaves, node_of, values
from tests.fairway.services.strategies import names

NUMBERS = AllNumbers(
    services=(
        ServiceNumbers(
            name="tyre-watch",
            state="Running(Ok)",
            is_ready=True,
            restarts=2,
            failures=1,
            out_of_memory=0,
            cpu_s=12.5,
            cpu=0.031,
            memory_bytes=4096,
            pids=3,
        ),
    )
)


def test_each_service_has_its_signals_in_the_private_branch():
    assert values(NUMBERS) == {
        "Vehicle.Private.Services.TyreWatch.State": "Running(Ok)",
        "Vehicle.Private.Services.TyreWatch.IsReady": 1.0,
        "Vehicle.Private.Services.TyreWatch.CpuUsage": 3.1,
        "Vehicle.Private.Services.TyreWatch.MemoryUsage": 4096.0,
        "Vehicle.Private.Services.TyreWatch.Restarts": 2.0,
    }


def test_the_catalogue_names_what_is_said_and_nothing_else():
    assert [leaf.path for leaf in leaves(["tyre-watch"])] == list(values(NUMBERS))
    assert all(leaf.description.endswith(".") for leaf in leaves(["tyre-watch"]))


def test_names_become_nodes():
    assert node_of("a-b") == "AB"
    assert node_of("radar-2") == "Radar_2"
    assert node_of("a--b") == "AXB"


@given(names)
def test_a_node_is_a_name_of_vss(name: str):
    assert node_of(name).isidentifier()
