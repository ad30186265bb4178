"""Settings of every test: hypothesis runs the same way everywhere and never because a machine is busy.

Tests of one file stay together when a run has several workers: they share what their module starts.  (xdist's
own groups, `--dist loadgroup`, do nothing under pytest 9.2, which keeps a test's name elsewhere.)
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Pages of the documentation are started all at once, by the first worker that is asked for one.
TOGETHER = ("tests/docs/",)

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


class ByFile(LoadScopeScheduling):
    """Gives a worker the next file, or what stays together with it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Say how tests are given to workers."""
    return ByFile(config, log)
