"""`edge-agent signals` before a real agent and real body units: what people see, and what scripts read."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.programs import run, until
from tests.e2e.test_vehicle_api.acting_car import DOOR, WINDOW, Car, acting_car

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

HORN = "Vehicle.Body.Horn.IsActive"


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Car]:
    with acting_car(tmp_path_factory.mktemp("car")) as made:
        (made.folder / "token").write_text(made.issuer.token("actuate read", seconds=600) + "\n")
        (made.folder / "reader").write_text(made.issuer.token("read", seconds=600))
        until("the speed", lambda: "valid" in signals(made, "get", "Vehicle.Speed").stdout)
        yield made


def signals(
    car: Car, *arguments: str, token: str = "token", code: int = 0
) -> subprocess.CompletedProcess[str]:
    known = ("--config", str(car.folder / "agent.toml"), "--token-file", str(car.folder / token))
    ended = run("edge-agent", "signals", arguments[0], *known, *arguments[1:], check=False)
    assert ended.returncode == code, ended.stderr
    return ended


def test_values_are_told_as_a_table_and_as_json(car: Car):
    told = signals(car, "get", "Vehicle.Speed", "Vehicle.Cabin.Door.Row1.*.IsLocked")
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["TIME", "PATH", "VALUE", "UNIT", "QUALITY", "PROVIDER"]
    assert re.search(r"Vehicle\.Speed +0 +km/h +valid +body$", lines[1])
    assert [line.split()[2] for line in lines[2:]] == [
        f"Vehicle.Cabin.Door.Row1.{side}.IsLocked" for side in ("DriverSide", "PassengerSide")
    ]
    (speed,) = map(json.loads, signals(car, "get", "--json", "Vehicle.Speed").stdout.splitlines())
    assert (speed["path"], speed["value"], speed["quality"]) == ("Vehicle.Speed", 0.0, "valid")
    listed = signals(car, "list", "Vehicle.Cabin.Door.Row1.DriverSide").stdout
    assert re.search(rf"^{re.escape(WINDOW)} +actuator +uint8 +percent", listed, re.MULTILINE)


def test_an_order_is_followed_to_its_end_and_the_past_knows_it(car: Car):
    done = signals(car, "set", f"{WINDOW}=20")
    assert re.findall(r"accepted|sent|confirmed", done.stdout) == ["accepted", "sent", "confirmed"]
    window = [
        json.loads(line)["value"]
        for line in signals(car, "history", "--json", "--count", "0", WINDOW).stdout.splitlines()
    ]
    assert window == sorted(window)
    assert window[0] == 0
    assert window[-1] == 20
    late = signals(car, "set", "--deadline-ms", "50", "--json", f"{WINDOW}=100", code=1)
    assert json.loads(late.stdout.splitlines()[-1])["reason"] == "deadline"
    assert re.fullmatch(rf"edge-agent: {re.escape(WINDOW)} failed: .*has not said.*\n", late.stderr)


def test_a_watch_tells_what_changes_and_ends_with_its_time(car: Car):
    told = signals(car, "watch", "--seconds", "1.5", "--json", "Vehicle.Speed", "Vehicle.Gone")
    assert len(told.stdout.splitlines()) > 10
    assert told.stderr == "Vehicle.Gone: no signal is there that the token may read\n"


@pytest.mark.parametrize(
    ("arguments", "token", "sentence"),
    [
        (("get", "Vehicle.Gone"), "token", "nothing that was named can be told"),
        (("set", f"{DOOR}=true"), "reader", "the token has no scope to actuate"),
        (("set", f"{WINDOW}=much"), "token", "'much' is no uint8"),
        (("set", f"{WINDOW}=101"), "token", "choose from 0 to 100"),
        (("set", f"{HORN}=true"), "token", "nobody provides Vehicle.Body.Horn.IsActive"),
        (("get", "--to", "unix:/nowhere/x.sock", "Vehicle.Speed"), "token", "nobody answers"),
        (("get", "Vehicle.Speed"), "agent.toml", "there is no token in"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(car: Car, arguments, token: str, sentence: str):
    ended = signals(car, *arguments, token=token, code=1)
    assert sentence in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_wrong_command_line_is_code_2(car: Car):
    signals(car, "set", code=2)
