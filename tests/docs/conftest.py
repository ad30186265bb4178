"""Pages are run side by side, for they wait most of the time; servers that a page needs are lent to it.

A test module names its page in PAGES, and in SERVERS what lends the addresses of servers in its page's places.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pytest_socket import enable_socket

from tests.docs.pages import Run

RunPage = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def run_page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunPage]:
    """Give what runs a page and returns what its blocks printed."""
    enable_socket()
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    ours = [module for module in modules if hasattr(module, "PAGES")]
    runs: dict[str, Run] = {}
    missing: dict[str, BaseException] = {}

    def printed(page: str) -> list[str]:
        if page in missing:
            raise missing[page]
        return runs[page].printed()

    with ExitStack() as stack:
        for module in sorted(ours, key=lambda module: hasattr(module, "SERVERS")):
            try:
                servers = getattr(module, "SERVERS", None)
                places = stack.enter_context(servers()) if servers else None
            except (pytest.skip.Exception, pytest.fail.Exception) as outcome:
                missing |= dict.fromkeys(module.PAGES, outcome)
                continue
            for page in module.PAGES:
                runs[page] = Run(page, tmp_path_factory.mktemp("page"), places)
                stack.callback(runs[page].close)
        yield printed
