"""What every reader of tokens promises: a good one says who shows it, any other is refused in one sentence."""

import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Denied, Unavailable
from fairway.signers import file
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.roles import Role
from fleet_cloud.access.tokens import LEEWAY_S, NoTokens, Tokens, Trust, principal_of
from fleet_cloud.access.users import User
from fleet_cloud.adapters.memory_access import MemoryUsers
from fleet_cloud.adapters.oidc import Believed, OidcTokens, key_set
from fleet_cloud.adapters.oidc_discovery import DiscoveredKeys, checked_url
from fleet_cloud.adapters.own_issuer import OwnIssuer
from tests.issuers import (
    AUDIENCE,
    ISSUER,
    KEYS,
    NOW_S,
    claims,
    pasted,
    public_jwk,
    published,
    token,
)

TRUST = Trust(ISSUER, AUDIENCE, suffix="@login.example")
PEM = (
    KEYS["ES256"]
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def clock() -> ManualClock:
    return ManualClock(NOW_S * NS_PER_S)


class Published:
    """An issuer's web pages, and how often they were asked for."""

    def __init__(self, keys: Any) -> None:
        self.keys = keys
        self.issuer = ISSUER
        self.asked = 0
        self.is_away = False

    def __call__(self, url: str) -> Any:
        self.asked += 1
        if self.is_away:
            raise Unavailable("it does not answer")
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{ISSUER}/jwks"}
        assert url == f"{ISSUER}/jwks"
        return self.keys


def reader(trust: Trust = TRUST, pages: Published | None = None, at: ManualClock | None = None):
    at = at or clock()
    keys = DiscoveredKeys(trust.issuer, at, pages or Published(published()))
    return OidcTokens([Believed(trust, keys)], at)


READER = reader()


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_good_token_says_who_shows_it_what_they_may_do_and_until_when(algorithm: str):
    found = READER.principal(token(algorithm))

    assert found.actor == "user:ann@login.example"
    assert found.grants == (Grant(Role.VIEWER, "acme"),)
    assert found.until_ns == (NOW_S + 600 + LEEWAY_S) * NS_PER_S


def hmac_signed(secret: bytes) -> str:
    """The classic: the public key, which everybody knows, used as if it were a secret."""
    unsigned = pasted({"alg": "HS256", "typ": "JWT", "kid": "ES256"}, claims()).rpartition(".")[0]
    mac = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return unsigned + "." + pasted({}, {}, mac).rpartition(".")[2]


FORGED = {
    "none": pasted({"alg": "none", "kid": "ES256"}, claims()),
    "None": pasted({"alg": "None", "kid": "ES256"}, claims()),
    "none, with a signature": pasted({"alg": "none", "kid": "ES256"}, claims(), b"x" * 64),
    "public key as a secret": hmac_signed(PEM),
    "public key as a secret, JSON": hmac_signed(json.dumps(public_jwk("ES256")).encode()),
    "somebody else's key": token(key=ec.generate_private_key(ec.SECP256R1())),
    "a key of another kind": token("RS256", header={"kid": "ES256"}),
    "its own key in its header": token(
        key=ec.generate_private_key(ec.SECP256R1()), header={"jwk": public_jwk("ES256")}
    ),
    "a key at an address": token(
        key=ec.generate_private_key(ec.SECP256R1()), header={"jku": "https://evil.example/jwks"}
    ),
    "no signature": token().rpartition(".")[0] + ".",
    "a changed claim": ".".join(
        [token().split(".")[0], pasted({}, claims(sub="eve")).split(".")[1], token().split(".")[2]]
    ),
    "no kid": jwt.encode(claims(), KEYS["ES256"], "ES256"),
    "an unknown kid": token(header={"kid": "other"}),
    "an endless kid": token(header={"kid": "k" * 300}),
    "a kid that is a path": token(header={"kid": "../../dev/null"}),
    "a critical extension": pasted({"alg": "ES256", "kid": "ES256", "crit": ["x"]}, claims(), b"x"),
    "made for something else": token(header={"typ": "logout+jwt"}),
    "another issuer": token(iss="https://evil.example"),
    "an issuer with a slash": token(iss=ISSUER + "/"),
    "an issuer that is a list": token(iss=[ISSUER]),
    "another audience": token(aud="other"),
    "other audiences": token(aud=["other", "fairway2"]),
    "no audience": token(aud=None),
    "an audience that is an object": token(aud={AUDIENCE: 1}),
    "expired": token(exp=NOW_S - LEEWAY_S),
    "no end": token(exp=None),
    "an endless end": token(exp=10**30),
    "an end that is a text": token(exp=str(NOW_S + 600)),
    "an end that is true": token(exp=True),
    "a future nbf": token(nbf=NOW_S + LEEWAY_S + 1),
    "a future iat": token(iat=NOW_S + LEEWAY_S + 1),
    "no iat": token(iat=None),
    "nobody": token(sub=None),
    "nobody, in many words": token(sub="x" * 201),
    "a subject with a line break": token(sub="ann\nadmin"),
    "a subject that is a number": token(sub=1),
    "oversized": token(roles=["x" * 9000]),
    "nested": pasted({"alg": "ES256", "kid": "ES256"}, "[" * 2000, b"x"),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("tokens", [READER, NoTokens()], ids=["oidc", "none"])
def test_a_forged_token_is_refused_in_one_sentence_that_repeats_nothing_of_it(
    tokens: Tokens, forged: str
):
    with pytest.raises(Denied) as denied:
        tokens.principal(forged)

    said = str(denied.value)
    assert "\n" not in said
    assert forged not in said
    for secret in ("evil", "eve", AUDIENCE, ISSUER):
        assert secret not in said


@given(
    text=st.text(max_size=200)
    | st.binary(max_size=200).map(lambda data: data.decode("latin-1"))
    | st.lists(st.text("abcdefghijkABC0123456789-_=", max_size=60), max_size=5).map(".".join)
)
def test_any_text_is_refused(text: str):
    with pytest.raises(Denied):
        READER.principal(text)


@given(cut=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_other_text_near_a_good_token_is_good(cut: int, byte: int):
    good = token()
    at = cut % len(good)
    changed = good[:at] + chr(byte) + good[at + 1 :]
    try:
        found = READER.principal(changed)
    except Denied:
        return
    # The last letter of a part holds bits that stand for nothing.
    assert found.actor == "user:ann@login.example"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    changed=st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "roles", "a"]), JSON, max_size=4
    ),
    path=st.sampled_from(["roles", "a.b", "", ".", "https://x/roles"]),
)
def test_any_claims_are_a_principal_or_refused(changed: dict[str, Any], path: str):
    trust = Trust(ISSUER, AUDIENCE, roles_claim=path)
    try:
        found = principal_of({**claims(), **changed}, trust, NOW_S * NS_PER_S)
    except Denied:
        return
    assert found.actor.startswith("user:")


@pytest.mark.parametrize(
    ("trust", "said", "grants"),
    [
        ({}, {"roles": ["viewer@acme", "nonsense", 7, "admin@*"]}, ["admin@*", "viewer@acme"]),
        ({}, {"roles": "viewer@acme operator@b/north"}, ["operator@b/north", "viewer@acme"]),
        ({}, {"roles": ["viewer"]}, []),
        ({"tenant": "acme"}, {"roles": ["viewer", "admin@*", "admin@b"]}, ["viewer@acme"]),
        (
            {"tenant": "acme", "grants": {"ops": "operator"}},
            {"roles": ["ops", "admin"]},
            ["operator@acme"],
        ),
        ({"roles_claim": "a.b", "tenant": "t"}, {"a": {"b": ["viewer"]}}, ["viewer@t"]),
        (
            {"roles_claim": "https://x.y/r", "tenant": "t"},
            {"https://x.y/r": ["viewer"]},
            ["viewer@t"],
        ),
        ({}, {"roles": {"viewer@acme": True}}, []),
    ],
)
def test_an_issuers_words_mean_what_the_operator_says(trust, said, grants):
    found = principal_of(claims(**said), Trust(ISSUER, AUDIENCE, **trust), NOW_S * NS_PER_S)

    assert [str(grant) for grant in found.grants] == grants


def test_a_table_that_gives_another_tenants_rights_is_refused():
    with pytest.raises(BadInput):
        Trust(ISSUER, AUDIENCE, tenant="acme", grants={"ops": "operator@umbrella"})


def test_keys_are_asked_for_once_and_again_for_an_unknown_one_but_not_by_whoever_likes():
    at, pages = clock(), Published(published("ES256"))
    tokens = reader(pages=pages, at=at)
    for _ in range(3):
        tokens.principal(token())
    assert pages.asked == 2

    for _ in range(3):
        with pytest.raises(Denied):
            tokens.principal(token("RS256"))
    assert pages.asked == 2

    pages.keys = published("ES256", "RS256")
    at.advance(31 * NS_PER_S)
    tokens.principal(token("RS256"))
    assert pages.asked == 4


def test_known_keys_outlive_an_issuer_that_is_away_for_a_day():
    at, pages = clock(), Published(published("ES256"))
    tokens = reader(pages=pages, at=at)
    tokens.principal(token())
    pages.is_away = True
    at.advance(23 * 3600 * NS_PER_S)
    assert tokens.principal(token(exp=NOW_S + 10**6, iat=NOW_S))

    at.advance(2 * 3600 * NS_PER_S)
    with pytest.raises(Unavailable):
        tokens.principal(token(exp=NOW_S + 10**6, iat=NOW_S))


def test_an_issuer_that_calls_itself_otherwise_is_not_believed():
    pages = Published(published())
    pages.issuer = "https://evil.example"

    with pytest.raises(Unavailable):
        reader(pages=pages).principal(token())


def test_only_keys_that_can_prove_something_are_taken():
    short = rsa.generate_private_key(65537, 1024)
    odd = [
        public_jwk("ES256", kid="encrypts", use="enc"),
        public_jwk("RS256", short, kid="short"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**public_jwk("ES256"), "kid": "private", "d": "AAAA"},
        {**public_jwk("ES256"), "kid": "curve", "crv": "P-521"},
        {"kty": "EC", "kid": "empty"},
        {**public_jwk("ES256"), "kid": 7},
        "nonsense",
    ]
    pinned = public_jwk("RS256", kid="pinned", alg="PS256")
    found = key_set({"keys": [*odd, pinned]})

    assert {kid: key.algorithms for kid, key in found.items()} == {"pinned": ("PS256",)}


@given(document=JSON | st.fixed_dictionaries({"keys": st.lists(JSON, max_size=4)}))
def test_any_document_is_keys_or_one_sentence(document: Any):
    try:
        key_set(document)
    except BadInput:
        return


@pytest.mark.parametrize(
    "url",
    ["http://login.example", "ftp://x", "file:///etc/passwd", "", "https://", "https://a b", "//x",
     "https://u:p@x", "http://127.0.0.1.evil.example", "https://x:0", "https://[x"],
)  # fmt: skip
def test_an_issuer_is_asked_over_https_or_on_this_machine(url: str):
    with pytest.raises(BadInput):
        checked_url(url)
    assert checked_url("http://[::1]:80/x") == "http://[::1]:80/x"


def own() -> tuple[OwnIssuer, MemoryUsers, OidcTokens, User]:
    issuer, users = OwnIssuer("http://127.0.0.1:8080", file.fresh()), MemoryUsers()
    user = User("ann", Grant(Role.VIEWER, "acme"), "", 1)
    users.add(user)
    return issuer, users, OidcTokens([issuer.believed(users)], clock()), user


def test_a_token_of_our_own_issuer_lets_in_until_its_user_is_removed():
    issuer, users, tokens, user = own()
    shown = issuer.access_token(user, NOW_S * NS_PER_S)
    found = tokens.principal(shown)
    users.remove("ann")

    assert (found.actor, found.grants) == ("user:ann", (user.grant,))
    with pytest.raises(Denied):
        tokens.principal(shown)


def test_what_tells_a_client_who_signed_in_lets_nobody_in():
    issuer, _, tokens, user = own()
    _, identity, _ = issuer.made(user, NOW_S * NS_PER_S, nonce="n")

    assert jwt.decode(identity, options={"verify_signature": False})["nonce"] == "n"
    with pytest.raises(Denied):
        tokens.principal(identity)


def test_our_own_issuer_publishes_what_verifies_its_tokens():
    issuer, _, _, user = own()
    (key,) = key_set(issuer.keys()).values()
    access = issuer.access_token(user, NOW_S * NS_PER_S)

    assert "d" not in issuer.keys()["keys"][0]
    assert jwt.PyJWS(algorithms=["ES256"]).decode(access, key.public, algorithms=["ES256"])
