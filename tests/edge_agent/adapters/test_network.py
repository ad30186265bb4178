"""Whether the network is paid by the byte: a file, a setting, or the kernel's routes."""

from pathlib import Path

import pytest

from edge_agent.adapters.network import LOOK_INTERVAL_NS, Network, default_interface
from fairway.clock import ManualClock

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def route(interface: str, metric: int, destination: str = "00000000") -> str:
    mask = "00000000" if destination == "00000000" else "00FFFFFF"
    return f"{interface}\t{destination}\t0101A8C0\t0003\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def test_the_default_route_of_the_lowest_metric_counts():
    routes = HEAD + route("eth0", 10, "0001A8C0") + route("wwan0", 700) + route("wlan0", 600)

    assert default_interface(routes) == "wlan0"
    assert default_interface(HEAD) == ""
    assert default_interface("nonsense") == ""


@pytest.mark.parametrize(
    ("interface", "is_metered"),
    [("wwan0", True), ("ppp0", True), ("eth0", False), ("wlan0", False)],
)
def test_auto_goes_by_the_interface(tmp_path: Path, interface: str, is_metered: bool):  # noqa: FBT001
    routes = tmp_path / "route"
    routes.write_text(HEAD + route(interface, 1))

    assert Network("auto", None, ManualClock(), routes=routes).is_metered() is is_metered


def test_without_routes_nothing_is_metered(tmp_path: Path):
    assert not Network("auto", None, ManualClock(), routes=tmp_path / "none").is_metered()


def test_a_file_outranks_the_setting_while_it_is_there_and_is_looked_at_again(tmp_path: Path):
    clock, file = ManualClock(), tmp_path / "metered"
    network = Network(True, file, clock)  # noqa: FBT003 - a setting
    assert network.is_metered()

    file.write_text("no\n")
    assert network.is_metered()
    clock.advance(LOOK_INTERVAL_NS)
    assert not network.is_metered()

    file.write_text("YES\n")
    clock.advance(LOOK_INTERVAL_NS)
    assert network.is_metered()

    file.unlink()
    clock.advance(LOOK_INTERVAL_NS)
    assert network.is_metered()
