"""Pages are run side by side, a few at once, for they wait most of the time; what servers they need is lent.

A test module names its page in PAGES, and in SERVERS what lends the addresses of servers in its page's places.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pytest_socket import enable_socket

from tests.docs.pages import Run

RunPage = Callable[[str], list[str]]

# Each starts whole programs: more at once on two cores take longer than one after the other.
SIDE_BY_SIDE = 4


@pytest.fixture(scope="session")
def run_page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunPage]:
    """Give what runs a page and returns what its blocks printed."""
    enable_socket()
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    ours = [module for module in modules if hasattr(module, "PAGES")]
    runs: list[Run] = []
    ends: dict[str, Future[list[str]]] = {}
    missing: dict[str, BaseException] = {}

    def printed(page: str) -> list[str]:
        if page in missing:
            raise missing[page]
        return ends[page].result()

    with ExitStack() as stack:
        turns = ThreadPoolExecutor(SIDE_BY_SIDE)
        for module in sorted(ours, key=lambda module: hasattr(module, "SERVERS")):
            try:
                servers = getattr(module, "SERVERS", None)
                places = stack.enter_context(servers()) if servers else None
            except (pytest.skip.Exception, pytest.fail.Exception) as outcome:
                missing |= dict.fromkeys(module.PAGES, outcome)
                continue
            for page in module.PAGES:
                runs.append(Run(page, tmp_path_factory.mktemp("page"), places))
                ends[page] = turns.submit(runs[-1].printed)
        yield printed
        turns.shutdown(wait=False, cancel_futures=True)
        for one in runs:
            one.close()
        turns.shutdown()
