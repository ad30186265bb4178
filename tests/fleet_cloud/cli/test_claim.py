"""`fleet-cloud claim`, `enrolment` and `vehicle --csr`, as somebody at a terminal meets them."""

import json
from pathlib import Path

import pytest

import fleet_cloud.cli
from edge_agent.adapters.identity_files import signing_request
from fairway.signers import file

GRPC = '[grpc]\nlisten = "127.0.0.1:8443"\n'
EXTERNAL = (
    '[broker]\nmode = "external"\nurl = "mqtts://broker.example:8883"\nca = "broker-ca.pem"\n'
)


class Office:
    """A data directory, and what a command in it prints."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.configure(GRPC)

    def configure(self, text: str) -> None:
        """Write the settings."""
        (self.folder / "cloud.toml").write_text(text)

    def run(self, *words: str | Path) -> tuple[int, str]:
        """Return the exit code, and what was printed."""
        where = ("--config", self.folder / "cloud.toml", "--data", self.folder / "data")
        done = fleet_cloud.cli.main([str(word) for word in (*words, *where)])
        printed = self._capsys.readouterr()
        return done, printed.out + printed.err

    def create(self, *vehicles: str | Path, name: str = "line-4") -> tuple[int, str]:
        """Create a claim."""
        out = self.folder / name
        return self.run("claim", "create", name, "--out", out, "--vehicles", *vehicles)


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(tmp_path, capsys)


def test_a_claim_is_made_of_ids_and_files_of_ids(office: Office):
    listed = office.folder / "line.txt"
    listed.write_text("VIN1\n\n# spare\nVIN2   # late\nVIN1\n")

    assert office.create("VIN3", listed)[0] == 0
    assert (office.folder / "line-4" / "key.pem").stat().st_mode & 0o777 == 0o600
    (row,) = json.loads(office.run("claim", "list", "--json")[1])
    assert (row["tenant"], row["name"], row["revoked_time_ns"]) == ("default", "line-4", None)
    assert [one["vehicle"] for one in row["vehicles"]] == ["VIN1", "VIN2", "VIN3"]
    assert office.run("claim", "revoke", "line-4")[0] == 0
    assert "revoked" in office.run("claim", "list")[1]


def test_vehicles_are_told_whom_to_trust_at_every_door(office: Office):
    office.configure(GRPC + EXTERNAL)
    assert office.run("pki", "list")[0] == 0
    (office.folder / "broker-ca.pem").write_text("-----the broker's-----\n")
    assert office.create("VIN1")[0] == 0

    claim = office.folder / "line-4"
    services = (office.folder / "data" / "pki" / "ca.pem").read_text()
    assert (claim / "ca.pem").read_text() == services + "-----the broker's-----\n"
    assert json.loads((claim / "endpoints.json").read_text()) == {
        "mqtt_url": "mqtts://broker.example:8883",
        "grpc_url": "grpcs://127.0.0.1:8443",
        "region": "local",
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "line/4", "--vehicles", "VIN1"), "not a vehicle id"),
        (("create", "l" * 49, "--vehicles", "VIN1"), "at most 48"),
        (("create", "line-5", "--vehicles", "VIN 1"), "line 1"),
        (("create", "line-5", "--vehicles", "fairway-cloud"), "reserved"),
        (("create", "line-5", "--vehicles", "VIN1", "--days", "0"), "choose from 1"),
        (("create", "line-5", "--vehicles", "/dev/null"), "not a vehicle id"),
        (("create", "line-4", "--vehicles", "VIN1"), "already"),
        (("allow", "line-9", "--vehicles", "VIN1"), "no claim called line-9"),
        (
            ("allow", "line-4", "--tenant", "other", "--vehicles", "VIN1"),
            "tenant other has no claim",
        ),
        (("revoke", "line-9"), "no claim called line-9"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(office: Office, words: tuple[str, ...], why: str):
    assert office.create("VIN1")[0] == 0
    before = office.run("claim", "list", "--json")

    done, said = office.run("claim", *words)
    assert (done, len(said.splitlines())) == (1, 1)
    assert why in said
    assert office.run("claim", "list", "--json") == before


def test_a_port_that_nobody_knows_yet_is_told_and_nothing_is_written(office: Office):
    office.configure('[grpc]\nlisten = "127.0.0.1:0"\n')

    done, said = office.create("VIN1")
    assert (done, "start fleet-cloud once" in said) == (1, True)
    assert not (office.folder / "line-4").exists()


def test_nothing_that_waits_is_nothing_to_decide(office: Office):
    for verb in ("approve", "reject"):
        done, said = office.run("enrolment", verb, "VIN1")
        assert (done, "no enrolment of VIN1 waits" in said) == (1, True)
    assert office.run("enrolment", "list") == (0, "no enrolments\n")


def test_a_request_of_another_vehicle_or_of_nobody_is_not_signed(office: Office):
    request = office.folder / "vehicle.csr"
    request.write_bytes(signing_request("VIN1", file.fresh()))
    out = office.folder / "carried"

    def signed(verb: str, vehicle: str, path: Path, *more: str) -> tuple[int, str]:
        return office.run("vehicle", verb, vehicle, "--csr", path, "--out", out, *more)

    assert "names 'VIN1'" in signed("add", "VIN2", request)[1]
    assert "cannot read" in signed("add", "VIN1", office.folder / "missing.csr")[1]
    assert "no vehicle called VIN1" in signed("sign", "VIN1", request)[1]
    assert not out.exists()
    assert signed("add", "VIN1", request)[0] == 0
    assert signed("sign", "VIN1", request, "--replaces")[0] == 0
    rows = json.loads(office.run("vehicle", "certificates", "VIN1", "--json")[1])
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("active", ""),
        ("revoked", "replaced"),
    ]
