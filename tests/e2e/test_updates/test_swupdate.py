"""Debian's swupdate is served by the device door: it installs, resumes, refuses what is tampered, gives up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.swupdate_site import SIZE_BYTES, VEHICLE, SwupdateSite, swupdate

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

# After a success swupdate waits until it was started again, and says then whether it went well.
WENT_WELL = "-c 2"


@pytest.fixture
def site(tmp_path: Path, socket_enabled: None) -> Iterator[SwupdateSite]:
    swupdate()
    made = SwupdateSite(tmp_path)
    yield made
    made.close()


def test_it_installs_and_says_so_after_a_restart(site: SwupdateSite):
    content = os.urandom(SIZE_BYTES)
    action = site.assign(site.package("2.0.0", content))

    program = site.start()
    site.until(lambda: "retrieved" in site.types(action), "the order is fetched")
    site.until(
        lambda: site.installed.exists() and site.installed.read_bytes() == content, "installed"
    )
    assert site.action(action)["status"] == "pending"  # until it has been started again
    site.until(lambda: "SWUPDATE successful" in site.log(), "swupdate is done")
    site.end(program)
    site.start(WENT_WELL)
    site.until(lambda: site.action(action)["status"] == "finished", "the success is told")

    attributes = site.manager.get(f"/rest/v1/targets/{VEHICLE}/attributes").json()
    assert attributes["board"] == "gateway"


def test_a_download_that_is_cut_goes_on_where_it_was(site: SwupdateSite):
    content = os.urandom(SIZE_BYTES)
    site.line.cut_after_bytes = 1_200_000
    site.assign(site.package("2.0.0", content))

    site.start()
    site.until(
        lambda: site.installed.exists() and site.installed.read_bytes() == content, "installed"
    )

    assert site.line.cuts == 1
    assert site.answers(206) == 1  # the rest, once
    # Everything that came through, polls and TLS as well: nothing was fetched twice.
    assert site.line.passed_bytes < 1.05 * SIZE_BYTES


def test_what_was_tampered_with_is_refused_and_the_cloud_hears_it(site: SwupdateSite):
    package = site.package("2.0.0", os.urandom(SIZE_BYTES))
    data = bytearray(package.read_bytes())
    data[2_000_000] ^= 1
    action = site.assign(package, bytes(data))

    site.start()
    site.until(lambda: site.action(action)["status"] == "error", "the failure is told")

    assert not site.installed.exists() or site.installed.stat().st_size < SIZE_BYTES
    assert site.types(action)[-1] == "error"


def test_an_order_that_is_cancelled_before_it_is_fetched_is_given_up(site: SwupdateSite):
    action = site.assign(site.package("2.0.0", os.urandom(1000)))
    site.manager.delete(f"/rest/v1/targets/{VEHICLE}/actions/{action}")
    assert site.action(action)["type"] == "cancel"

    site.start()
    site.until(lambda: site.action(action)["status"] == "canceled", "given up")

    assert not site.installed.exists()
