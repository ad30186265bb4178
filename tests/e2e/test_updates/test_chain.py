"""The whole chain: built, signed twice, published, approved, rolled out, installed, proved, and gone back."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from ota.manifest import Image, Kind
from tests.e2e.programs import run, until
from tests.e2e.update_site import VEHICLES, UpdateSite

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateSite]:
    """Three vehicles that hold the first release already."""
    with ExitStack() as stack:
        made = UpdateSite(tmp_path_factory.mktemp("chain"), stack)
        made.open()
        made.released("1.0.0", *VEHICLES)
        made.first = made.rolled_out("first", "1.0.0")
        made.until_state(made.first, "FINISHED")
        yield made


def test_a_release_comes_into_all_vehicles_and_is_proved(site: UpdateSite, tmp_path: Path):
    shown = json.loads(site.fleet("rollout", "show", site.first, "--json"))
    assert shown["state"] == "FINISHED"
    assert shown["waves"][0]["vehicles"]["committed"] == len(VEHICLES)
    assert shown["author"] != shown["approved_by"]
    for vehicle in VEHICLES:
        until(f"a report of {vehicle}", lambda it=vehicle: held_path(site, it) != "")  # type: ignore[misc]
        assert "committed" in site.fleet("rollout", "why", vehicle)

    records, key = tmp_path / "records", tmp_path / "audit.pem"
    site.fleet("rollout", "records", "--rollout", site.first, "--out", records)
    key.write_text(site.fleet("audit", "key"))
    proof = json.loads(site.fleet("rollout", "verify", records, "--key", key, "--json"))
    assert proof["series"] == site.first
    assert proof["subjects"] >= len(VEHICLES)
    records.write_bytes(records.read_bytes().replace(b"CAR-2", b"CAR-9"))
    touched = run("fleet-cloud", "rollout", "verify", records, "--key", key, check=False)
    assert touched.returncode == 1


def held_path(site: UpdateSite, vehicle: str) -> str:
    (one,) = site.ecus(vehicle)
    return str(one["image"] or "")


def test_one_that_is_not_well_goes_back_and_stops_the_rollout_and_is_left_alone(site: UpdateSite):
    site.released("1.1.0", "CAR-1", "CAR-2")  # CAR-3 was forgotten
    made = site.rolled_out("second", "1.1.0")

    paused = site.until_state(made, "PAUSED")

    assert "1 of 3 vehicles of all failed" in paused["why"]
    assert [site.holds(one) for one in VEHICLES] == ["1.1.0", "1.1.0", "1.0.0"]
    standing = site.standing(made, "CAR-3")
    assert (standing["stage"], standing["fault"]) == ("rolled_back", "health")
    why = site.asked("CAR-3", "why")
    assert "grep" in why["sentence"]
    assert why["never_again"][0]["version"] == "1.1.0"
    assert "grep" in site.fleet("rollout", "why", "CAR-3")

    assert "0 vehicles are offered it again" in site.fleet("rollout", "retry", made)
    again = site.rolled_out("again", "1.1.0", ("CAR-3",))
    site.until_state(again, "PAUSED")
    assert "failed in it before" in site.standing(again, "CAR-3")["why"]
    assert site.holds("CAR-3") == "1.0.0"

    site.released("1.2.0", *VEHICLES)
    site.until_state(site.rolled_out("mended", "1.2.0"), "FINISHED")
    assert [site.holds(one) for one in VEHICLES] == ["1.2.0"] * 3


def test_what_ci_alone_has_signed_is_not_published(site: UpdateSite):
    site.build("6.6.6", *VEHICLES)

    code, said = site.publish(check=False)

    assert code == 1
    assert "awaiting signature: 1 of 2 (ci)" in said
    listed = json.loads(site.fleet("release", "list", "--json"))
    assert "6.6.6" not in {one["version"] for one in listed}


def test_a_stolen_director_installs_nothing_that_the_images_do_not_list(site: UpdateSite):
    before = site.holds("CAR-1")
    digest = sha256(b"evil").hexdigest()
    theirs = Image("evil/1.tar", 4, digest, Kind.FILE, "limits", "evil", 99, ("limits",))
    site.tells_with_stolen_keys("CAR-1", theirs)

    def is_refused() -> bool:
        site.asked("CAR-1", "check")  # again: it may have been amid a look when that came
        return "evil/1.tar" in site.asked("CAR-1", "status")["trouble"]

    until("the refusal", is_refused)

    assert site.holds("CAR-1") == before
    until("the vehicle's word of it", lambda: site.ecus("CAR-1")[0]["attacks"] != [])
