"""The page about services of one's own does what it says, on real ones, and its rules fit our topics."""

import fnmatch
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fairway import topics
from fleet_cloud.vehicles.registry import CLOUD_NAME
from fleet_cloud.vehicles.rights import SHARE_GROUP
from tests.clickhouse import clickhouse_servers
from tests.docs import pages
from tests.postgres import postgres_server

PAGE = "howto/run-on-your-own-services.md"
PAGES = (PAGE,)
POSTGRES = "postgresql+psycopg://fairway@127.0.0.1:5432/fairway"
STORES = ("http://127.0.0.1:8123", "http://127.0.0.1:8124")

BLOCKS = pages.blocks(PAGE)
VEHICLE_POLICY, CLOUD_POLICY = (json.loads(b.content) for b in BLOCKS if b.language == "json")
SHARED = f"$share/{SHARE_GROUP}/{topics.ALL_UP_TELEMETRY}"
ACCOUNT = "arn:aws:iot:eu-central-1:123456789012:"


@contextmanager
def SERVERS() -> Iterator[dict[str, str]]:  # noqa: N802 - as PAGES, it is looked for by this name
    """Lend PostgreSQL and two ClickHouse servers in the places that the page names."""
    with postgres_server() as postgres, clickhouse_servers(2) as servers:
        urls = [server.url for server in servers]
        yield {POSTGRES: postgres.url(), **dict(zip(STORES, urls, strict=True))}


@pytest.mark.net
@pytest.mark.slow
def test_the_page_goes_as_told(run_page):
    printed = run_page(PAGE)

    (batches,) = re.findall(r"(\d+) batches of", printed[-2])
    assert sum(float(n) for n in re.findall(r"total ([\d.]+)", printed[-1])) == int(batches)
    assert pages.shown_only(PAGE) == 0


def allowed(policy: dict[str, Any], action: str, resource: str, name: str) -> bool:
    """Say whether an AWS policy lets the certificate of `name` do `action` to `resource`."""
    for statement in policy["Statement"]:
        patterns = statement["Resource"]
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            filled = pattern.replace("${iot:Certificate.Subject.CommonName}", name)
            assert statement["Effect"] == "Allow"
            if statement["Action"] == action and fnmatch.fnmatchcase(ACCOUNT + resource, filled):
                return True
    return False


@pytest.mark.parametrize(("whose", "expected"), [("VIN1", True), ("VIN2", False), ("VIN11", False)])
def test_the_aws_policy_of_a_vehicle_is_for_its_own_topics(whose, expected):
    asked = [
        ("iot:Connect", f"client/{topics.client_id(whose)}"),
        ("iot:Publish", f"topic/{topics.up_telemetry(whose)}"),
        ("iot:Subscribe", f"topicfilter/{topics.down_telemetry(whose)}"),
        ("iot:Receive", f"topic/{topics.down_telemetry(whose)}"),
    ]

    answers = [allowed(VEHICLE_POLICY, action, resource, "VIN1") for action, resource in asked]

    assert answers == [expected] * 4


def test_the_aws_policy_of_a_vehicle_lets_it_neither_hear_vehicles_nor_answer_them():
    assert not allowed(
        VEHICLE_POLICY, "iot:Subscribe", f"topicfilter/{topics.ALL_UP_TELEMETRY}", "VIN1"
    )
    assert not allowed(
        VEHICLE_POLICY, "iot:Publish", f"topic/{topics.down_telemetry('VIN1')}", "VIN1"
    )


def test_the_aws_policy_of_the_cloud_is_what_ingest_does():
    def may(action: str, resource: str) -> bool:
        return allowed(CLOUD_POLICY, action, resource, CLOUD_NAME)

    assert may("iot:Connect", f"client/{CLOUD_NAME}-ingest-2")
    assert may("iot:Subscribe", f"topicfilter/{topics.ALL_UP_TELEMETRY}")
    assert may("iot:Subscribe", f"topicfilter/{SHARED}")
    assert may("iot:Receive", f"topic/{topics.up_telemetry('VIN1')}")
    assert may("iot:Publish", f"topic/{topics.down_telemetry('VIN1')}")
    assert not may("iot:Publish", f"topic/{topics.up_telemetry('VIN1')}")


def test_the_emqx_rules_spell_our_topics():
    (rules,) = (block.content for block in BLOCKS if block.language == "erlang")
    user = "${username}"

    for topic in (
        topics.ALL_UP_TELEMETRY,
        SHARED,
        topics.up_tree(user),
        topics.down_tree(user),
        topics.down_tree("+"),
    ):
        assert f'"{topic}"' in rules
    assert rules.strip().endswith("{deny, all}.")
    assert rules.count(f'{{username, "{CLOUD_NAME}"}}') == 3
