"""Settings of every test: hypothesis runs the same way everywhere and never because a machine is busy.

Tests of one file stay together when a run has several workers (`--dist loadgroup`): they share what their
module starts.  Whoever shares more, as pages of the documentation do, says so by `xdist_group`.
"""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have every test that names no group go with its file."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
