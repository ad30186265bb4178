"""The page about services of one's own does what it says, on real ones, and its rules fit our topics."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

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
SHARED = f"$share/{SHARE_GROUP}/{topics.ALL_UP_TELEMETRY}"


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

    (batches,) = re.findall(r"(\d+) batches of", printed[-3])
    assert sum(float(n) for n in re.findall(r"total ([\d.]+)", printed[-2])) == int(batches)
    assert pages.shown_only(PAGE) == 0


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
