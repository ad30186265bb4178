"""Tokens of services: minted here, good in one place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.service_tokens import KEY_NAME, TOKEN_LIFE_S, Mint, OwnToken
from edge_agent.adapters.tokens import claims_of, load_keys
from edge_agent.broker.access import EVERYTHING
from edge_agent.broker.claims import Grant
from edge_agent.services.instance import Instance
from edge_agent.services.registry import Offered
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Denied
from tests.edge_agent.adapters.service_rig import BATTERY, HEALTH, TRIP_LOG

INSTANCE = Instance("battery.aaaaaaaaaaaa", BATTERY, None, 1, Path("/nowhere"))
LOG = Instance("trip-log.aaaaaaaaaaaa", TRIP_LOG, None, 2, Path("/nowhere"))
GRANT = Grant("battery", EVERYTHING, instance=INSTANCE.id)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def mint(tmp_path, clock):
    return Mint.of(tmp_path, clock)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path, mint, clock):
    again = Mint.of(tmp_path, clock)

    assert oct((tmp_path / KEY_NAME).stat().st_mode)[-3:] == "600"
    assert again.jwks == mint.jwks
    assert again.claims(mint.own(INSTANCE))["sub"] == "battery"


def test_a_key_that_others_could_read_is_refused(tmp_path, mint, clock):
    (tmp_path / KEY_NAME).chmod(0o644)

    with pytest.raises(BadInput, match="can be read by others"):
        Mint.of(tmp_path, clock)


def test_the_published_keys_hold_no_secret_and_check_tokens(tmp_path, mint):
    path = tmp_path / "keys.jwks"
    path.write_text(mint.jwks)

    (entry,) = json.loads(mint.jwks)["keys"]

    assert set(entry) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert claims_of(mint.own(INSTANCE), load_keys([path]))["instance"] == INSTANCE.id


def test_each_token_has_an_id_of_its_own(mint):
    ids = {mint.claims(mint.own(INSTANCE))["jti"] for _ in range(3)}

    assert len(ids) == 3


def test_its_own_token_grants_what_the_manifest_does(mint, clock):
    own = OwnToken(mint, INSTANCE, GRANT, clock)
    token = mint.own(INSTANCE)

    assert own.grant(token) is GRANT
    assert own.grant(token) is GRANT  # remembered


def test_a_remembered_token_is_over_when_it_says_so(mint, clock):
    own = OwnToken(mint, INSTANCE, GRANT, clock)
    token = mint.own(INSTANCE)
    own.grant(token)
    clock.advance(TOKEN_LIFE_S * NS_PER_S)

    with pytest.raises(Denied, match="expired"):
        own.grant(token)


@pytest.mark.parametrize(
    "who", ["another service", "another version", "another audience", "another key"]
)
def test_others_are_refused(mint, clock, tmp_path, who):
    own = OwnToken(mint, INSTANCE, GRANT, clock)
    token = {
        "another service": lambda: mint.own(LOG),
        "another version": lambda: mint.own(replace(INSTANCE, id="battery.bbbbbbbbbbbb")),
        "another audience": lambda: mint.use(INSTANCE, Offered(HEALTH, "trip-log", LOG.id)),
        "another key": lambda: Mint.of(tmp_path / "other", clock).own(INSTANCE),
    }[who]()

    with pytest.raises((BadInput, Denied)) as caught:
        own.grant(token)
    assert token not in str(caught.value)


def test_many_tokens_are_not_remembered_for_ever(mint, clock):
    own = OwnToken(mint, INSTANCE, GRANT, clock)
    for _ in range(50):
        own.grant(mint.own(INSTANCE))

    assert len(own._kept) <= 8
