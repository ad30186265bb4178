"""Tokens are taken from pinned keys alone, each with the algorithm of its kind; tricks are refused."""

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from edge_agent.adapters.tokens import (
    TOKEN_MAX_CHARS,
    Key,
    Verifier,
    claims_of,
    issue,
    load_keys,
    public_key_of,
    unchecked_claims,
)
from edge_agent.broker.access import Action
from edge_agent.broker.claims import Expected
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Denied, Unavailable
from fairway.signers import file
from fairway.signers.opening import make_signer
from tests.hardware_keys import softhsm

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
KINDS: dict[str, Any] = {"ES256": EC, "RS256": RSA, "EdDSA": ED}
NOW_S = 1_800_000_000
CLAIMS = {"sub": "app", "aud": ["kuksa.val"], "exp": NOW_S + 60, "scope": "read:Vehicle.Speed"}
OURS = Expected(frozenset({"kuksa.val"}))

# KUKSA's own sample: certificates/jwt/jwt.key.pub and jwt/read-vehicle-speed.token (Apache-2.0).
KUKSA_KEY = """-----BEGIN PUBLIC KEY-----
MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA6ScE9EKXEWVyYhzfhfvg
+LC8NseiuEjfrdFx3HKkb31bRw/SeS0Rye0KDP7uzffwreKf6wWYGxVUPYmyKC7j
Pji5MpDBGM9r3pIZSvPUFdpTE5TiRHFBxWbqPSYt954BTLq4rMu/W+oq5Pdfnugb
voYpLf0dclBl1g9KyszkDnItz3TYbWhGMbsUSfyeSPzH0IADzLoifxbc5mgiR73N
CA/4yNSpfLoqWgQ2vdTM1182sMSmxfqSgMzIMUX/tiaXGdkoKITF1sULlLyWfTo9
79XRZ0hmUwvfzr3OjMZNoClpYSVbKY+vtxHyux9KOOtv9lPMsgYIaPXvisrsneDZ
fCS0afOfjgR96uHIe2UPSGAXru3yGziqEfpRZoxsgXaOe905ordLD5bSX14xkN7N
Cz7rxDLlxPQyxp4Vhog7p/QeUyydBpZjq2bAE5GAJtiu+XGvG8RypzJFKFQwMNsw
g1BoZVD0mb0MtU8KQmHcZIfY0FVer/CR0mUjfl1rHbtoJB+RY03lQvYNAD04ibAG
NI1RhlTziu35Xo6NDEgs9hVs9k3WrtF+ZUxhivWmP2VXhWruRakVkC1NzKGh54e5
/KlluFbBNpWgvWZqzWo9Jr7/fzHtR0Q0IZwkxh+Vd/bUZya1uLKqP+sTcc+aTHbn
AEiqOjPq0D6X45wCzIwjILUCAwEAAQ==
-----END PUBLIC KEY-----
"""
KUKSA_TOKEN = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJsb2NhbCBkZXYiLCJpc3MiOiJjcmVhdGVUb2tlbi5we"
    "SIsImF1ZCI6WyJrdWtzYS52YWwiXSwiaWF0IjoxNzY4NTY0ODAwLCJleHAiOjE4NjE5MTk5OTksInNjb3BlIjoicmV"
    "hZDpWZWhpY2xlLlNwZWVkIn0.CeOLvMfINCGLii3ycsYBU3WINXTuPYK0Z5BKnHxoZwE7lKXLQQKEmqh3GO1kx8rHJ"
    "Zxe4YQAK543tQCZ2GZQBVM3uJmShLRnWFkMd-DB_LEDw6codw11UoxUNcgld-d5pnYfBXlVc45TvoYUMoaezEx3jsZ"
    "KlDYnXxybC0W7uepwvex7Zz0H7zv2WJJ73Qz6gRn5Mm6jQthq0GBO1POsxTTLC9xwaL_8MEdYmUOXxa3pWexo0qv_5"
    "0OWgAYzg0djzHp8oByh2aFwg0NhjD6IkraMRvj1xmLsOaZPpzV9dKlozRPia3efbsf5pgLhYEAb6iVpnifmEFHGn54"
    "8lrjqqcGVTOS_8CIpihjh7iMsnEkpU2wKnrlDU2jg4XhPsZ7eCJLnFe0rB7Gu8WVXxRC6P0DQDjJR5rShLK4IfAWcZ"
    "AFQjh9ZSat6Ii5TezdH5nXCaEpu7DPEZ3_HyyA54uW3l397v1q13saJmBVEc3egiO8mmaHWcClCVwm47_UZIh4tdMT"
    "tREWoKELXjTlGmHp4R4hFx7H5inRScs8iHYEe2fjY2-wVQUEv2aCw8zT-HQ9U7rew1Em8DiAJUJIDCbZMBT2t-USIV"
    "ZUFrOiQ5BcCHW36rx5w4NcS0Y_8VGajKbnWqH_8MP66CdzrnZrBIAjRIZSUtk-4iQYRlYm3Y8z-n0A"
)
KUKSA_SAMPLE_S = 1_800_000_000  # between its iat and its exp


def pem(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jwk(private: Any, **more: str) -> dict[str, Any]:
    algorithm = {RSA: "RS256", EC: "ES256", ED: "EdDSA"}.get(private, "ES384")
    made = jwt.algorithms.get_default_algorithms()[algorithm].to_jwk(private.public_key())
    return json.loads(made) | more


def verifier(*keys: Key, **more: Any) -> Verifier:
    return Verifier(keys, OURS, ManualClock(NOW_S * NS_PER_S), **more)


def keys(folder: Path) -> tuple[Key, ...]:
    return load_keys(written(folder, f"{name}.pem", pem(key)) for name, key in KINDS.items())


def signed(
    key: Any = EC, algorithm: str = "ES256", claims: dict[str, Any] = CLAIMS, **header: Any
) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_token_of_each_kind_of_key_is_taken(tmp_path: Path, algorithm: str):
    grant = verifier(*keys(tmp_path)).grant(signed(KINDS[algorithm], algorithm))

    assert grant.subject == "app"
    assert grant.rights.may(Action.READ, "Vehicle.Speed")


def test_kuksas_own_sample_token_is_taken_with_its_key(tmp_path: Path):
    (key,) = load_keys([written(tmp_path, "jwt.key.pub", KUKSA_KEY)])

    grant = Verifier([key], OURS, ManualClock(KUKSA_SAMPLE_S * NS_PER_S)).grant(KUKSA_TOKEN)

    assert (grant.subject, grant.issuer) == ("local dev", "createToken.py")
    assert grant.rights.may(Action.READ, "Vehicle.Speed")


def confused() -> str:
    """Return a token whose secret is the public key: what trusts `alg` takes it."""
    parts = [{"alg": "HS256", "typ": "JWT"}, CLAIMS]
    body = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return (body + b"." + base64url_encode(algorithm.sign(body, pem(EC)))).decode()


def changed() -> str:
    head, _, signature = signed().split(".")
    claims = base64url_encode(json.dumps(CLAIMS | {"scope": "actuate"}).encode()).decode()
    return f"{head}.{claims}.{signature}"


FOREIGN = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (lambda: signed(None, "none"), "no key that is known here checks tokens of alg 'none'"),
        (lambda: signed(None, "none").rstrip(".") + ".", "alg 'none'"),
        (confused, "alg 'HS256'"),
        (lambda: signed(RSA, "RS512"), "alg 'RS512'"),
        (lambda: signed(RSA, "PS256"), "alg 'PS256'"),
        (lambda: signed(FOREIGN), "signed by no key that is known here"),
        (changed, "signed by no key that is known here, or changed since"),
        (lambda: signed(crit=["exp"]), "header is not read here"),
        (lambda: signed(typ="dpop+jwt"), "typ is JWT or at.jwt"),
        (lambda: signed(claims=CLAIMS | {"scope": "write"}), "begins with none of read"),
        (lambda: "", "is no token"),
        (lambda: "a.b", "is no token"),
        (lambda: "é.é.é", "is no token"),
        (lambda: signed() + "x" * TOKEN_MAX_CHARS, "at most"),
    ],
)
def test_what_is_no_token_of_ours_is_refused_without_repeating_it(
    tmp_path: Path, token: Any, words: str
):
    with pytest.raises(BadInput, match=words) as refused:
        verifier(*keys(tmp_path)).grant(token())

    assert len(str(refused.value)) < 300
    assert signed()[-20:] not in str(refused.value)


def test_a_signature_from_a_curve_that_is_not_pinned_is_refused(tmp_path: Path):
    other = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(BadInput, match="alg 'ES384'"):
        verifier(*keys(tmp_path)).grant(signed(other, "ES384"))
    with pytest.raises(BadInput, match="P-256 or Ed25519"):
        load_keys([written(tmp_path, "other.pem", pem(other))])


def test_a_kid_chooses_its_key_and_no_other(tmp_path: Path):
    document = {"keys": [jwk(EC, kid="old"), jwk(FOREIGN, kid="new"), jwk(ED, use="enc")]}
    pinned = load_keys([written(tmp_path, "jwks.json", json.dumps(document))])

    assert [key.kid for key in pinned] == ["old", "new"]
    assert claims_of(signed(EC, kid="old"), pinned) == CLAIMS
    assert claims_of(signed(FOREIGN), pinned) == CLAIMS  # names none: each is tried
    for kid, words in [("new", "signed by no key"), ("next", "kid 'next'")]:
        with pytest.raises(BadInput, match=words):
            claims_of(signed(EC, kid=kid), pinned)
    unnamed = load_keys([written(tmp_path, "ec.pem", pem(EC))])
    assert claims_of(signed(EC, kid="anything"), unnamed) == CLAIMS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hello", "no public key in PEM form"),
        (lambda: file.fresh().pem(), "no public key in PEM form"),
        ("{", "cannot be read as JSON"),
        ("{}", "no JWKS document"),
        ('{"keys": [1]}', "no JWKS document"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "holds a secret"),
        ('{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}', "cannot be read"),
        (lambda: json.dumps({"keys": [jwk(EC, alg="HS256")]}), "cannot be read|is for 'HS256'"),
        (lambda: json.dumps({"keys": [jwk(EC, kid="a"), jwk(ED, kid="a")]}), "each kid once"),
        (lambda: pem(rsa.generate_private_key(65537, 1024)), "RSA of 2048 bits or more"),
        (b"\xff\xfe", "is no text"),
        (b" " * 1_048_577, "is larger than"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: Any, words: str):
    made = content() if callable(content) else content

    with pytest.raises(BadInput, match=words):
        load_keys([written(tmp_path, "key", made)])


def test_a_key_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(Unavailable, match="cannot read the keys for tokens .*nowhere"):
        load_keys([tmp_path / "nowhere"])


def test_a_token_that_was_taken_ends_on_time_and_by_the_list_of_revoked_ones(tmp_path: Path):
    clock = ManualClock(NOW_S * NS_PER_S)
    revoked = written(tmp_path, "revoked", "# none\n")
    door = Verifier(keys(tmp_path), OURS, clock, revoked=revoked)
    tokens = {name: signed(claims=CLAIMS | {"jti": name}) for name in "ab"}
    grants = {name: door.grant(token) for name, token in tokens.items()}

    revoked.write_text("a\n")
    os.utime(revoked, ns=(1, 1))
    door.review()
    with pytest.raises(Denied, match="the token a has been revoked"):
        door.grant(tokens["a"])
    assert door.grant(tokens["b"]) is grants["b"]
    with pytest.raises(Denied, match="has no id"):
        door.grant(signed())

    revoked.unlink()
    door.review()  # what was last known stays
    with pytest.raises(Denied, match="revoked"):
        door.check(grants["a"])
    clock.advance(60 * NS_PER_S)
    with pytest.raises(Denied, match="has expired"):
        door.grant(tokens["b"])


def test_a_token_that_we_issue_is_one_that_we_take(tmp_path: Path):
    signer = file.make(tmp_path / "key.pem")
    token = issue(
        signer, subject="app", scope="read:Vehicle", audiences=["kuksa.val"], hours=0.5,
        now_ns=NOW_S * NS_PER_S, issuer="line 4", kid="one",
    )  # fmt: skip

    grant = verifier(public_key_of(signer, "one")).grant(token)

    assert (grant.subject, grant.issuer) == ("app", "line 4")
    assert grant.expires_ns == (NOW_S + 1800) * NS_PER_S
    assert unchecked_claims(token)["jti"] == grant.token_id
    with pytest.raises(BadInput, match="fit into a call"):
        issue(
            signer, subject="app", scope=" ".join(f"read:Vehicle.Signal{n}" for n in range(900)),
            audiences=["kuksa.val"], hours=1, now_ns=0,
        )  # fmt: skip


def test_a_key_in_a_hardware_token_signs_tokens(tmp_path: Path):
    with softhsm(tmp_path / "hsm") as key_of:
        signer = make_signer(key_of("apps"))
        token = issue(
            signer, subject="app", scope="read", audiences=["kuksa.val"], hours=1, now_ns=0
        )

        assert claims_of(token, [public_key_of(signer)])["sub"] == "app"


@given(
    st.text(max_size=80)
    | st.lists(st.binary(max_size=30), min_size=2, max_size=4).map(
        lambda parts: ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts
        )
    )
)
def test_any_text_is_refused_in_words(text: str):
    with pytest.raises(BadInput):
        verifier(public_key_of(file.FileSigner(EC))).grant(text)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "AQAB", "", 1]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["keys", "kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"]),
                inner,
            )
        ),
    ).map(lambda document: json.dumps({"keys": [document]}).encode())
)
def test_any_file_of_keys_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
):
    with contextlib.suppress(BadInput):
        load_keys([written(tmp_path_factory.mktemp("keys"), "key", content)])
