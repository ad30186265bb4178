"""Policies for AWS IoT Core, as JSON: one that all vehicles share, and one for the cloud.

In a policy `*` stands for any number of characters, slashes too, and `?` for one; MQTT's own `+` and `#` are
nothing but themselves there, and `${...}` is filled in from the certificate of whoever connects.

Rule 1: what no statement allows is denied; nothing here is allowed that a vehicle or the cloud does not do.
Rule 2: a vehicle is who its certificate's common name says, and its client id is that name: nobody takes over
the session of somebody else.
"""

import json
import re

from fairway.errors import BadInput
from fairway.topics import ALL_UP_TELEMETRY
from fleet_cloud.vehicles.registry import CLOUD_NAME
from fleet_cloud.vehicles.rights import CLOUD_RIGHTS, SHARE_GROUP, FleetWiseUser, rights_of

# What AWS puts in place of it: the common name of the certificate that connects.
NAME = "${iot:Certificate.Subject.CommonName}"
_PLACE = re.compile(r"arn:aws(-cn|-us-gov)?:iot:[a-z]{2}(-[a-z]+)+-\d:\d{12}")


def aws_place(text: str) -> str:
    """Return `text` when it says where policies are for.  Raises BadInput."""
    if not _PLACE.fullmatch(text):
        raise BadInput(
            f"{text[:80]!r} is no place of AWS IoT Core: write arn:aws:iot:REGION:ACCOUNT, as in"
            " arn:aws:iot:eu-central-1:123456789012"
        )
    return text


def vehicle_policy(place: str, fleetwise: FleetWiseUser | None = None) -> str:
    """Return the policy that every vehicle's certificate is given."""
    own = rights_of(NAME, fleetwise.prefixes if fleetwise else None)
    return _policy(
        place,
        ("iot:Connect", [f"client/{NAME}"]),
        ("iot:Publish", _each("topic", own.publish)),
        ("iot:Subscribe", _each("topicfilter", own.subscribe)),
        ("iot:Receive", _each("topic", own.subscribe)),
    )


def fleetwise_policy(place: str, user: FleetWiseUser) -> str:
    """Return the policy of the certificate that serves agents of FleetWise."""
    rights = user.rights
    return _policy(
        place,
        ("iot:Connect", [f"client/{user.name}"]),
        ("iot:Subscribe", [f"topicfilter/{asked}" for asked in rights.subscribe]),
        ("iot:Receive", _each("topic", rights.subscribe)),
        ("iot:Publish", _each("topic", rights.publish)),
    )


def cloud_policy(place: str) -> str:
    """Return the policy of the cloud's certificate."""
    filters = (ALL_UP_TELEMETRY, f"$share/{SHARE_GROUP}/{ALL_UP_TELEMETRY}")
    return _policy(
        place,
        ("iot:Connect", [f"client/{CLOUD_NAME}-*"]),
        ("iot:Subscribe", [f"topicfilter/{asked}" for asked in filters]),
        ("iot:Receive", _each("topic", CLOUD_RIGHTS.subscribe)),
        ("iot:Publish", _each("topic", CLOUD_RIGHTS.publish)),
    )


def _policy(place: str, *statements: tuple[str, list[str]]) -> str:
    allowed = [
        {
            "Effect": "Allow",
            "Action": action,
            "Resource": [f"{aws_place(place)}:{name}" for name in names],
        }
        for action, names in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed}, indent=1) + "\n"


def _each(kind: str, topics: tuple[str, ...]) -> list[str]:
    return [f"{kind}/{_any(topic)}" for topic in topics]


def _any(topic_filter: str) -> str:
    return topic_filter.replace("+", "*").replace("#", "*")
