"""Velocitas AppManifests become services that reach their signals and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services.foreign import Imported
from fairway.services.foreign_velocitas import services_of
from fairway.services.model import Network, Signals
from tests.shared_data import shared

DIGEST = "sha256:" + "b" * 64


def imported(name: str) -> Imported:
    text = shared(f"edge/velocitas/{name}").read_text()
    return services_of(text, image=DIGEST, version="1.2.3", file=name)


def test_the_atomic_set_may_set_two_seats():
    found = imported("AppManifest-atomic-set.json")
    (service,) = found.services

    assert (service.name, service.version, service.image) == ("atomic-set", "1.2.3", DIGEST)
    assert service.signals == Signals(
        write=(
            "Vehicle.Cabin.Seat.Row1.Pos1.Position",
            "Vehicle.Cabin.Seat.Row1.Pos2.Position",
        )
    )
    assert service.network is Network.NONE
    assert any("MQTT topics are not taken over" in said for said in found.warnings)


def test_the_dog_mode_reads_four_signals_and_is_told_of_its_foreign_interfaces():
    found = imported("AppManifest-dog-mode.json")

    assert len(found.services[0].signals.read) == 4
    assert found.services[0].signals.write == ()
    assert any("gRPC service is used" in said for said in found.warnings)


def test_the_seat_adjuster_reads_the_speed_and_sets_the_seat():
    assert imported("AppManifest-seat-adjuster.json").services[0].signals == Signals(
        read=("Vehicle.Speed",), write=("Vehicle.Cabin.Seat.Row1.DriverSide.Position",)
    )


def test_the_performance_app_names_no_signals():
    found = imported("AppManifest-performance-subscribe.json")

    assert found.services[0].signals == Signals()
    assert any("names no signals" in said for said in found.warnings)


def test_a_list_of_signals_is_no_manifest():
    with pytest.raises(BadInput, match="no manifestVersion"):
        imported("subscription_signals.json")


def test_the_schema_of_manifests_is_no_manifest():
    with pytest.raises(BadInput, match="no manifestVersion"):
        imported("manifest.v3.schema.json")


def test_an_app_without_an_image_is_a_skeleton():
    text = shared("edge/velocitas/AppManifest-seat-adjuster.json").read_text()
    found = services_of(text)

    assert found.services[0].image == ""
    assert any("no image yet" in said for said in found.warnings)


def test_what_is_provided_may_be_published_and_what_is_set_may_be_read():
    found = services_of(
        '{"manifestVersion": "v3", "name": "My App", "interfaces": [{"type": "vehicle-signal-interface",'
        ' "config": {"datapoints": {"required": [{"path": "Vehicle.A", "access": "read"},'
        ' {"path": "Vehicle.A", "access": "write", "optional": true}],'
        ' "provided": [{"path": "Vehicle.B"}]}}}]}'
    )

    assert found.services[0].name == "my-app"
    assert found.services[0].signals == Signals(write=("Vehicle.A",), provide=("Vehicle.B",))
    assert any("optional to the app" in said for said in found.warnings)


@pytest.mark.parametrize("path", ["*", "Vehicle", "Vehicle.*", "Vehicle.A read:Vehicle", ""])
def test_a_pattern_is_refused(path: str):
    with pytest.raises(BadInput, match="no path of a signal"):
        services_of(
            '{"manifestVersion": "v3", "name": "x", "interfaces": [{"type": "vehicle-signal-interface",'
            f' "config": {{"datapoints": {{"required": [{{"path": "{path}"}}]}}}}}}]}}'
        )


@given(st.text(max_size=100))
def test_garbage_is_refused(text: str):
    with pytest.raises(BadInput):
        services_of(text)
