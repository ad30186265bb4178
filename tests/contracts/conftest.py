"""What contracts of runtimes need."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.runtime_kits import KITS, PODMAN, Kit


@pytest.fixture(scope="session")
def engines() -> Iterator[None]:
    """End engines that were started on the way."""
    yield
    PODMAN.close()


@pytest.fixture
async def kit(request: pytest.FixtureRequest, engines: None, tmp_path: Path) -> AsyncIterator[Kit]:
    """Yield the runtime that a test names."""
    async with KITS[request.param](tmp_path) as made:
        yield made
