"""The agent's settings: what is said wrongly is told with its place."""

from pathlib import Path

import pytest

from edge_agent.config import Config
from fairway import config
from fairway.errors import BadInput

LEAST = """
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
source = "socketcan:can0"
databases = ["car.dbc"]
[spool]
dir = "spool"
"""


def loaded(text: str) -> Config:
    return config.loads(Config, text.encode(), where="agent.toml", base=Path("/etc/fairway"))


def test_the_least_there_is_to_say_is_enough():
    settings = loaded(LEAST)

    assert settings.bus[0].databases == (Path("/etc/fairway/car.dbc"),)
    assert settings.spool.dir == Path("/etc/fairway/spool")
    assert (settings.telemetry.collect, settings.telemetry.interval_ms) == ("mapped", 100)
    assert settings.uplink is None
    assert settings.onboard is None


@pytest.mark.parametrize(("speed", "read"), [('"max"', "max"), ("1", 1.0), ("0.5", 0.5)])
def test_a_replay_runs_at_a_factor_or_as_fast_as_it_can(speed: str, read: object):
    settings = loaded(
        LEAST.replace('source = "socketcan:can0"', "") + f'[replay]\nlog = "x.log"\nspeed = {speed}'
    )

    assert settings.replay is not None
    assert settings.replay.speed == read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("CAR-1", "CAR 1"), "agent.toml: vehicle: 'CAR 1' is not a vehicle id"),
        (('name = "can0"', 'name = "a.b"'), "cannot be empty or have a dot"),
        (('source = "socketcan:can0"', ""), r"bus can0 has no source, and there is no \[replay\]"),
        (("[spool]", '[replay]\nlog = "x"\n[spool]'), r"nothing is left for \[replay\]"),
        (
            ("[spool]", '[replay]\nlog = "x"\nspeed = "fast"\n[spool]'),
            "replay.speed must be a number",
        ),
        (('dir = "spool"', ""), "spool.dir is missing"),
        (('dir = "spool"', 'dir = "s"\nmax_bytes = 5'), "max_bytes is 5; choose from 1048576"),
        (("[spool]", "[telemetry]\ninterval_ms = -1\n[spool]"), "interval_ms is -1"),
        (("[spool]", "[telemetries]\n[spool]"), "unknown key telemetries; did you mean telemetry"),
        (("[spool]", '[log]\nlevel = "loud"\n[spool]'), "log.level is 'loud'; choose one of"),
        (("[spool]", "[onboard]\n[spool]"), "keys is empty: name the public keys that sign tokens"),
        (
            ("[spool]", '[onboard]\nkeys = ["a"]\naudience = []\n[spool]'),
            "no token would be for this agent",
        ),
        (("[spool]", '[onboard]\nkeys = ["a"]\nkey = "k"\n[spool]'), "give both, or neither"),
        (("[spool]", '[onboard]\nkeys = ["a"]\nclient_ca = "c"\n[spool]'), "client_ca is for TLS"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: tuple[str, str], words: str):
    with pytest.raises(BadInput, match=words):
        loaded(LEAST.replace(*change))


IDENTITY = '[identity]\nfolder = "identity"\n[uplink]\n'


def test_an_identity_is_enough_to_find_the_cloud():
    settings = loaded(LEAST + IDENTITY)

    assert settings.identity is not None
    assert settings.identity.folder == Path("/etc/fairway/identity")
    assert settings.uplink is not None
    assert settings.uplink.url == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[uplink]\n", "uplink.url is missing"),
        (IDENTITY + 'ca = "ca.pem"\n', "leave ca, certificate and key out"),
        (IDENTITY + 'certificate = "c.pem"\nkey = "k.pem"\n', "leave ca, certificate and key out"),
    ],
)
def test_certificates_stand_in_one_place(more: str, words: str):
    with pytest.raises(BadInput, match=words):
        loaded(LEAST + more)


FLEETWISE = (
    LEAST.replace('databases = ["car.dbc"]', 'databases = []\ninterface = "1"')
    + '[telemetry]\ncollect = "none"\n[uplink]\nurl = "mqtts://c.example"\ndialect = "fleetwise"\n'
)


def test_a_cloud_of_fleetwise_needs_no_databases():
    settings = loaded(FLEETWISE)

    assert settings.bus[0].databases == ()
    assert settings.fleetwise.prefixes().signals("V") == "$aws/iotfleetwise/vehicles/V/signals"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"none"', '"all"'), 'set [telemetry] collect = "none"'),
        (("mqtts://", "grpcs://"), "reached by MQTT"),
        (('interface = "1"', ""), "say in a [[bus]] which interface"),
        (('dialect = "fleetwise"', 'dialect = "french"'), "dialect"),
        (("[telemetry]", '[fleetwise]\ntopic_prefix = "#/"\n[telemetry]'), "begins no topics"),
        (("[telemetry]", "[fleetwise]\npayload_max_bytes = 1\n[telemetry]"), "choose from 4096"),
    ],
)
def test_what_a_cloud_of_fleetwise_needs_is_said(change: tuple[str, str], words: str):
    with pytest.raises(BadInput) as error:
        loaded(FLEETWISE.replace(*change))

    assert words in str(error.value)
