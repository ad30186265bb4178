"""The tutorial does what it says, with the real programs."""

import re

import pytest

from tests.docs import pages

PAGE = "tutorial/first-drive.md"
PAGES = (PAGE,)


@pytest.mark.net
@pytest.mark.slow
def test_the_first_drive_goes_as_told(run_page):
    printed = "".join(run_page(PAGE))

    first, second = (
        [int(number) for number in re.findall(r"\d+", line)]
        for line in re.findall(r"^\d+ frames, .* waiting$", printed, re.MULTILINE)
    )
    assert first[1] > 5_000
    assert first[-2:] == second[-2:] == [0, 0]  # refused, waiting
    assert pages.shown_only(PAGE) == 0
