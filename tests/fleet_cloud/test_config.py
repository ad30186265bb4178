"""The cloud's settings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.config import loads
from fairway.errors import BadInput
from fleet_cloud.config import Config, Endpoint, endpoint


def read(text: str) -> Config:
    return loads(Config, text.encode(), where="cloud.toml", base=Path("/etc/fairway"))


def test_an_empty_file_serves_one_machine():
    config = read("")

    assert config == Config()
    assert config.broker.mode == "embedded"
    assert config.registry.url == ""
    assert config.store.url == ()


def test_paths_are_relative_to_the_file():
    config = read(
        'data_dir = "data"\n[broker]\nmode = "external"\nurl = "mqtts://b:8883"\nca = "ca.pem"'
    )

    assert config.folder == Path("/etc/fairway/data")
    assert config.broker.ca == Path("/etc/fairway/ca.pem")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[brocker]", "did you mean broker"),
        ('[api]\nlisten = "8080"', "is not an address to listen on"),
        ('[api]\ncertificate = "c.pem"', "certificate and key belong together"),
        ('[api]\nplain = true\ncertificate = "c"\nkey = "k"', "plain is without TLS"),
        ('[api]\nsign_in = true\nlisten = "0.0.0.0:80"', "sign_in is for a demo"),
        ('[[api.oidc]]\nissuer = "https://x"', "audience is missing"),
        ('[grpc]\nlisten = "host:99999"', "is not an address to listen on"),
        ('[broker]\nmode = "external"', "an external broker is mqtts://host:port"),
        ('[broker]\ncertificate = "c.pem"', "certificate and key belong together"),
        ("[ingest]\nqueue_max_bytes = 0", "must be at least 1"),
        ('[fleetwise]\ntopic_prefix = "a b/"', "begins no topics"),
        ('[fleetwise]\nkey = "k.pem"', "certificate and key belong together"),
        ('[fleetwise]\nenabled = true\n[broker]\nmode = "none"', "broker.mode is none"),
    ],
)
def test_a_mistake_is_named(text: str, says: str):
    with pytest.raises(BadInput, match=says):
        read(text)


def test_a_cloud_without_a_place_for_data_is_refused():
    with pytest.raises(BadInput, match="--data DIR"):
        _ = Config().folder


@given(st.from_regex(r"[a-z0-9.]{1,20}", fullmatch=True) | st.just("::1"), st.integers(0, 65535))
def test_an_endpoint_is_read_as_it_is_written(host: str, port: int):
    assert endpoint(str(Endpoint(host, port))) == Endpoint(host, port)


def test_agents_of_fleetwise_have_topics_only_where_they_are_served():
    assert read("").fleetwise.prefixes is None
    prefixes = read('[fleetwise]\nenabled = true\ntopic_prefix = "fw/"').fleetwise.prefixes
    assert prefixes is not None
    assert prefixes.signals("V") == "fw/vehicles/V/signals"
