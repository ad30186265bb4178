"""Links between pages lead somewhere, and the front page leads to every page."""

import re

from tests.docs.pages import DOCS

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_leads_to_a_page_and_a_heading():
    broken = []
    for page in DOCS.rglob("*.md"):
        for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
            goal = (page.parent / target).resolve() if target else page
            is_there = goal.exists()
            if is_there and anchor:
                is_there = anchor in anchors(goal.read_text(encoding="utf-8"))
            if not is_there:
                broken.append(f"{page.relative_to(DOCS)}: {target}#{anchor}")

    assert broken == []


def test_the_front_page_leads_to_every_page():
    told = {target for target, _ in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))}
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    decisions = {page for page in pages if page.startswith("adr/") and page != "adr/README.md"}

    assert pages - decisions - {"index.md"} <= told
