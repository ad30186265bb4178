"""The security policy leads to pages and headings that exist, and names files and commands that do."""

import re

from tests.docs.pages import ROOT
from tests.docs.test_links import LINK, anchors

POLICY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_link_of_the_policy_leads_somewhere():
    links = LINK.findall(POLICY)

    assert links
    for target, anchor in links:
        text = (ROOT / target).read_text(encoding="utf-8")
        assert not anchor or anchor in anchors(text), anchor


def test_the_files_and_targets_that_the_policy_names_are_there():
    files = re.findall(r"`([\w.-]+\.(?:json|lock|toml))`", POLICY)
    targets = re.findall(r"`make (\w+)`", POLICY)

    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert [name for name in targets if f"\n{name}:" not in (ROOT / "Makefile").read_text()] == []
