"""The page for operators does what it says, and its words are those of the programs."""

import re

import pytest

from fleet_cloud.app import LEASE_S
from tests.docs import pages

PAGE = "howto/operate.md"
PAGES = (PAGE,)
TEXT = (pages.DOCS / PAGE).read_text(encoding="utf-8")
METRICS = (pages.DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
SOURCE = "".join(
    path.read_text(encoding="utf-8")
    for package in ("edge_agent", "fleet_cloud")
    for path in (pages.ROOT / package).rglob("*.py")
)


@pytest.mark.net
@pytest.mark.slow
def test_the_page_goes_as_told(run_page):
    printed = run_page(PAGE)

    live = set(re.findall(r"^(fairway_\w+)", printed[1], re.MULTILINE))
    assert live == set(re.findall(r"^\| `(fairway_ingest_\w+)", METRICS, re.MULTILINE))
    assert pages.shown_only(PAGE) == 0


def test_every_sign_is_an_event_or_a_metric():
    signs = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:\{[^`]*\})?`(?=[^|]*\|)", signs_of(TEXT)))
    events = set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', SOURCE))
    metrics = set(re.findall(r"`fairway_(?:ingest|edge)(?:_uplink)?_(\w+)", METRICS)) | set(
        re.findall(r"`fairway_edge_(\w+)", METRICS)
    )

    assert len(signs) > 20
    assert signs - events - metrics == set()


@pytest.mark.parametrize("page", [PAGE, "howto/run-on-your-own-services.md"])
def test_the_lease_of_a_claim_is_that_of_the_code(page):
    text = (pages.DOCS / page).read_text(encoding="utf-8")

    assert re.findall(r"take (?:it )?over after (\d+) s", text) == [str(LEASE_S)]


def signs_of(text: str) -> str:
    """Return the first column of the tables of signs."""
    part = text.split("## What a sign means")[1].split("A clock that jumps", maxsplit=1)[0]
    return "\n".join(
        f"{line.split('|')[1]}|" for line in part.splitlines() if line.startswith("| ")
    )
