"""The how-to pages do what they say, with the real programs."""

import pytest

from tests.docs import pages

# A page, and how many of its shell blocks need what a test machine has not.
PAGES = {
    "howto/replay-a-recorded-drive.md": 0,
    "howto/connect-a-can-bus.md": 2,  # CAN hardware, or the kernel's virtual CAN
    "howto/write-a-mapping.md": 0,
    "howto/api-access.md": 0,
    "howto/act-on-the-vehicle.md": 0,
    "howto/build-an-image.md": 0,
    "howto/import-services.md": 0,
    "howto/campaigns-cloud.md": 0,
    "howto/services-cloud.md": 0,
    "howto/try-a-campaign.md": 0,
    "howto/onboard-apps.md": 1,  # KUKSA's client, which tests/e2e/test_identity runs
    "howto/fleetwise-agent.md": 0,
    "howto/release-from-ci.md": 3,  # tokens, a key service and a git server
    "howto/enrol-vehicles.md": 1,  # a PKCS#11 token and a TPM; tests/e2e/test_identity has both
}


@pytest.mark.net
@pytest.mark.slow
@pytest.mark.parametrize(("page", "shown_only"), PAGES.items())
def test_the_page_goes_as_told(page, shown_only, run_page):
    run_page(page)

    assert pages.shown_only(page) == shown_only
