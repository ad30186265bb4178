"""The page that leads from an empty folder to a service does what it says, in a real container."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.containers import need
from tests.docs import pages

PAGE = "howto/write-a-service.md"
PAGES = {PAGE: 1}  # the vehicle that it goes into: tests/e2e/test_services has one


@contextmanager
def SERVERS() -> Iterator[dict[str, str]]:  # noqa: N802 - what the page needs of the machine
    need("runc")
    yield {}


@pytest.mark.net
@pytest.mark.slow
def test_the_page_goes_as_told(run_page):
    run_page(PAGE)

    assert pages.shown_only(PAGE) == PAGES[PAGE]
