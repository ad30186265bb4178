"""Where vehicles are sent for bytes: addresses that work for whoever has them, for a while, for one object."""

import base64
import json
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fairway.clock import ManualClock
from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters.artifacts_s3 import (
    CloudFrontPlaces,
    S3Artifacts,
    S3Places,
    bucket_of,
    cloudfront_signer,
    s3_client,
)
from ota.manifest import Blob
from tests.certificates import Authority
from tests.s3_server import KEY_ID, REGION, SECRET, S3Server, s3_server
from tests.update_place import sha256, update_place

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

BUCKET = bucket_of("s3://bucket/a/prefix")
DATA = bytes(range(256)) * 9000


def client(server: S3Server, ca: Path | None = None):
    return s3_client(
        server.url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        verify=str(ca) if ca else None,
    )


async def test_a_vehicle_fetches_from_the_bucket_and_shows_nothing_there(tmp_path: Path):
    """The door over mutual TLS sends it to S3 over HTTPS, with an address that was signed for it."""
    authority = Authority(tmp_path / "aws")
    shown = authority.server()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown.certificate, shown.key)
    with s3_server(tls) as s3:
        api = client(s3, authority.ca)
        artifacts, places = S3Artifacts(BUCKET, api, part_bytes=1 << 20), S3Places(BUCKET, api, 60)
        async with update_place(tmp_path / "cloud", artifacts=artifacts, places=places) as place:
            name = place.put(DATA)
            vehicle = place.server(storage_ca=authority.ca)
            (tmp_path / "image.part").write_bytes(DATA[:1_000_000])

            took = await vehicle.content.fetch(
                Blob(name, len(DATA)), tmp_path / "image", most_bytes=None
            )
            vehicle.close()

            assert (tmp_path / "image").read_bytes() == DATA
            assert took == len(DATA) - 1_000_000
            assert place.ports.numbers.redirects == 1
            assert place.ports.numbers.sent_bytes == 0
            got = [one for one in s3.requests if one.startswith("GET")]
            assert len(got) == 1
            assert "X-Amz-Signature=" in got[0]


def test_an_address_is_good_for_one_object_and_cannot_be_changed():
    with s3_server() as s3:
        artifacts = S3Artifacts(BUCKET, client(s3))
        for data in (DATA, b"other"):
            receiving = artifacts.receive(f"sha256:{sha256(data)}")
            receiving.write(data)
            receiving.finish()
        url = S3Places(BUCKET, client(s3), 60).url(f"sha256:{sha256(DATA)}") or ""

        assert httpx.get(url, trust_env=False).content == DATA
        elsewhere = url.replace(sha256(DATA), sha256(b"other"))
        assert httpx.get(elsewhere, trust_env=False).status_code == 403
        longer = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
        assert httpx.get(longer, trust_env=False).status_code == 403
        assert httpx.get(url.partition("?")[0], trust_env=False).status_code == 403


def test_cloudfront_is_told_until_when_and_by_whom(tmp_path: Path):
    private = rsa.generate_private_key(65537, 2048)
    key = tmp_path / "key.pem"
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    clock = ManualClock()
    signer = cloudfront_signer("K123", key)
    places = CloudFrontPlaces(BUCKET, "https://d1.cloudfront.example/", signer, clock, 600)

    url = places.url(f"sha256:{sha256(DATA)}") or ""

    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    until_s = clock.now_ns() // 1_000_000_000 + 600
    plain = f"https://d1.cloudfront.example/{BUCKET.key('sha256:' + sha256(DATA))}"
    assert url.startswith(plain + "?")
    assert (asked["Key-Pair-Id"], asked["Expires"]) == ("K123", str(until_s))
    policy = {
        "Statement": [
            {"Resource": plain, "Condition": {"DateLessThan": {"AWS:EpochTime": until_s}}}
        ]
    }
    signature = base64.b64decode(asked["Signature"].translate(str.maketrans("-_~", "+=/")))
    private.public_key().verify(
        signature,
        json.dumps(policy, separators=(",", ":")).encode(),
        padding.PKCS1v15(),
        hashes.SHA1(),
    )


def test_a_key_that_is_none_is_said(tmp_path: Path):
    (tmp_path / "key.pem").write_text("no key")
    for path in (tmp_path / "key.pem", tmp_path / "absent.pem"):
        with pytest.raises(BadInput, match="CloudFront's key"):
            cloudfront_signer("K", path)


@pytest.mark.parametrize("url", ["", "bucket", "s3://", "https://bucket", "s3://b?x=1"])
def test_what_is_no_bucket_is_said(url: str):
    with pytest.raises(BadInput, match="s3://BUCKET"):
        bucket_of(url)


def test_a_bucket_that_is_slow_is_asked_again_and_one_that_is_gone_is_said():
    with s3_server() as s3:
        artifacts = S3Artifacts(BUCKET, client(s3))
        s3.failing = 1
        assert artifacts.size("sha256:" + "0" * 64) is None
        stranger = s3_client(
            s3.url, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key="wrong"
        )
        with pytest.raises(Unavailable, match="SignatureDoesNotMatch"):
            S3Artifacts(BUCKET, stranger).read("sha256:" + "0" * 64, 0, 10)
