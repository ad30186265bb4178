"""What a tenant is called in ARNs, and which ARNs are its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.api.compat.fleetwise_shapes import shape
from fleet_cloud.models.accounts import Account
from fleet_cloud.models.documents import Kind
from fleet_cloud.models.refusals import BadField

ACME = Account("eu", "acme")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_every_tenant_has_an_account_that_fits_awss_patterns(tenant: str):
    account = Account("eu", tenant)
    arn = account.arn(Kind.MODEL, "car")
    pattern = shape("CreateDecoderManifestRequestModelManifestArnString").metadata["pattern"]

    assert re.fullmatch(pattern, arn)
    assert account.name("modelManifestArn", arn, Kind.MODEL) == "car"


def test_a_tenant_of_twelve_digits_is_that_account():
    assert Account("eu", "123456789012").number == "123456789012"
    assert ACME.number != Account("eu", "acme2").number


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iotfleetwise:us-east-1:123456789012:fleet/all",
        "arn:aws-cn:iotfleetwise:cn-north-1:123456789012:fleet/all",
        "arn:aws:iotfleetwise:eu:acme:fleet/all",
        ACME.arn(Kind.FLEET, "all"),
    ],
)
def test_what_was_brought_along_or_is_its_own_is_meant_by_name(arn: str):
    assert ACME.named("targetArn", arn, Kind.FLEET, Kind.VEHICLE) == ("fleet", "all")


@pytest.mark.parametrize(
    ("arn", "why"),
    [
        (Account("eu", "other").arn(Kind.FLEET, "all"), "of another account"),
        ("arn:aws:iotfleetwise:eu:other:fleet/all", "of another account"),
        ("arn:aws:iotfleetwise:eu:000000000000:fleet/all", "of another account"),
        (ACME.arn(Kind.MODEL, "all"), "is of a model-manifest, not of a fleet"),
        ("all", "no ARN of fleet"),
        ("arn:aws:iot:eu:acme:fleet/all", "no ARN of fleet"),
        (ACME.arn(Kind.FLEET, "a/b"), "no ARN of fleet"),
        (ACME.arn(Kind.FLEET, "all") + "\n", "no ARN of fleet"),
    ],
)
def test_everything_else_is_refused_with_the_reason(arn: str, why: str):
    with pytest.raises(BadField, match=why):
        ACME.named("targetArn", arn, Kind.FLEET)


@given(st.text(max_size=80))
def test_garbage_is_refused_and_nothing_worse(text: str):
    with pytest.raises(BadField):
        ACME.named("targetArn", text, Kind.FLEET)
