"""Where an uplink goes and with which certificates: one URL, files, and a key that may lie in hardware.

Rule 1: certificates are read at every connection: they may have been renewed since the last.
Rule 2: a key in a token or a TPM signs handshakes and stays where it is.  gRPC asks us to sign; Python's own
TLS, which MQTT speaks, wants the key itself.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fairway.errors import BadInput

# IANA's ports of MQTT and MQTT over TLS; gRPC has none of its own.
PORTS = {"mqtt": 1883, "mqtts": 8883, "grpc": 8080, "grpcs": 8443}


@dataclass(frozen=True, slots=True)
class Address:
    """The cloud's address; `scheme` chooses the transport, an s at its end TLS."""

    scheme: str
    host: str
    port: int
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    hardware_key: str = ""  # in place of `key`: the name of one in a token or a TPM

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme.endswith("s")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def address(
    url: str,
    *,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    hardware_key: str = "",
) -> Address:
    """Read the URL of a cloud.  Raises BadInput."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is not the URL of a cloud: {error}") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadInput(
            f"{url!r} is not the URL of a cloud: write mqtts://host:port or grpcs://host:port"
        )
    if (certificate is None) != (key is None and not hardware_key):
        raise BadInput("a certificate and its key belong together: give both, or neither")
    where = (parts.scheme, parts.hostname, port or PORTS[parts.scheme])
    return Address(*where, ca, certificate, key, hardware_key)


def tls_context(target: Address) -> ssl.SSLContext:
    """Return a context that knows the cloud's authority and the vehicle's certificate.  Raises BadInput."""
    if target.hardware_key:
        raise BadInput(
            "the vehicle's key lies in a token or TPM, which the TLS of MQTT cannot use: set uplink.url to the"
            " cloud's grpcs:// address"
        )
    try:
        context = ssl.create_default_context(cafile=target.ca)
        if target.certificate and target.key:
            context.load_cert_chain(target.certificate, target.key)
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"{_files(target)}: no certificates for {target} ({error})") from error
    return context


def content(path: Path | None) -> bytes | None:
    """Return what is in a file, None for none.  Raises BadInput."""
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _files(target: Address) -> str:
    return ", ".join(str(path) for path in (target.ca, target.certificate, target.key) if path)
