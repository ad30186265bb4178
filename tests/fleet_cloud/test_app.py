"""What the cloud shows to whom: in the clear on this machine, and beyond it when it was told so."""

from pathlib import Path

import pytest

from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.api.server import ServerTls, tls_of
from fleet_cloud.config import Api, Endpoint

PKI = FilePki(Path("/pki"))
OWN = ServerTls(PKI.server, PKI.server_key)
GIVEN = ServerTls(Path("/c.pem"), Path("/k.pem"))


@pytest.mark.parametrize(
    ("host", "api", "shown"),
    [
        ("127.0.0.1", Api(), None),
        ("::1", Api(), None),
        ("localhost", Api(), None),
        ("0.0.0.0", Api(), OWN),
        ("192.0.2.7", Api(), OWN),
        ("localhost.example", Api(), OWN),
        ("0.0.0.0", Api(plain=True), None),
        ("0.0.0.0", Api(certificate=GIVEN.certificate, key=GIVEN.key), GIVEN),
        ("127.0.0.1", Api(certificate=GIVEN.certificate, key=GIVEN.key), GIVEN),
    ],
)
def test_nothing_is_asked_in_the_clear_beyond_this_machine(host: str, api: Api, shown: object):
    assert tls_of(api, Endpoint(host, 8080), PKI.server, PKI.server_key) == shown
