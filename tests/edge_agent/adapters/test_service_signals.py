"""How services stand, as signals that apps read."""

from pathlib import Path

from edge_agent.adapters.service_signals import ServiceSignals
from edge_agent.adapters.services_wired import with_their_signals
from edge_agent.broker.feed import HistoryLimits, data_of
from edge_agent.broker.store import Quality, State
from edge_agent.broker.vehicle import VehicleData
from edge_agent.config import Bus, Config, Spool, Vehicle
from edge_agent.config_services import Services
from edge_agent.services.numbers import AllNumbers, ServiceNumbers
from edge_agent.services.usage_signals import leaves
from fairway.catalog.model import Catalog
from fairway.clock import NS_PER_S, ManualClock
from fairway.samples import SignalTable

WATCH = "Vehicle.Private.Services.TyreWatch"
LIMITS = HistoryLimits(10, 60, 1 << 20)


def standing(name: str) -> ServiceNumbers:
    return ServiceNumbers(
        name,
        "Running",
        is_ready=True,
        restarts=2,
        failures=0,
        out_of_memory=0,
        cpu_s=1.0,
        cpu=0.031,
        memory_bytes=1 << 42,
        pids=3,
    )


def state(data: VehicleData, leaf: str, now_ns: int) -> State:
    number = data.signals.find(f"{WATCH}.{leaf}")
    assert number is not None
    return data.store.state(number, now_ns=now_ns)


def test_what_a_service_takes_is_read_where_signals_are():
    clock = ManualClock()
    data = data_of(Catalog(leaves(["tyre-watch"])), SignalTable(()), LIMITS, clock)
    numbers = AllNumbers((standing("tyre-watch"), standing("came-later")))

    ServiceSignals(data, lambda: numbers, clock, 10.0).publish()

    said = {
        path: state(data, path, clock.monotonic_ns())
        for path in ("State", "IsReady", "CpuUsage", "MemoryUsage", "Restarts")
    }
    assert {path: one.value for path, one in said.items()} == {
        "State": "Running",
        "IsReady": True,
        "CpuUsage": 3.1,
        "MemoryUsage": 1 << 42,
        "Restarts": 2,
    }
    assert {one.quality for one in said.values()} == {Quality.VALID}


def test_what_an_agent_says_no_longer_is_stale():
    clock = ManualClock()
    data = data_of(Catalog(leaves(["tyre-watch"])), SignalTable(()), LIMITS, clock)
    ServiceSignals(data, lambda: AllNumbers((standing("tyre-watch"),)), clock, 10.0).publish()

    later_ns = clock.monotonic_ns() + 3600 * NS_PER_S

    assert state(data, "CpuUsage", later_ns).quality is Quality.STALE


def test_services_of_the_settings_have_their_signals_from_the_start(tmp_path: Path):
    manifest = tmp_path / "watch.yaml"
    manifest.write_text(f"name: tyre-watch\nversion: 1.0.0\nimage: sha256:{'a' * 64}\n")
    config = Config(
        Vehicle("CAR-1"),
        (Bus("can0", (), source="socketcan:can0"),),
        Spool(tmp_path / "spool"),
        services=Services(manifests=(manifest,), run_dir=Path("run")),
    )

    catalog = with_their_signals(config, Catalog(()))

    assert catalog.get(f"{WATCH}.State") is not None
    assert len(with_their_signals(config, catalog)) == len(catalog) == 5
