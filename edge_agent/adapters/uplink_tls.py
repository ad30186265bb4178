"""Where an uplink goes and with which certificates: one URL and three files."""

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

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme.endswith("s")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def address(
    url: str, *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
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
    if (certificate is None) != (key is None):
        raise BadInput("a certificate and its key belong together: give both, or neither")
    return Address(parts.scheme, parts.hostname, port or PORTS[parts.scheme], ca, certificate, key)


def tls_context(target: Address) -> ssl.SSLContext:
    """Return a context that knows the cloud's authority and the vehicle's certificate.  Raises BadInput."""
    try:
        context = ssl.create_default_context(cafile=target.ca)
        if target.certificate and target.key:
            context.load_cert_chain(target.certificate, target.key)
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"{_files(target)}: no certificates for {target} ({error})") from error
    return context


def certificate_bytes(target: Address) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return authority, key and certificate as PEM, checked.  Raises BadInput."""
    tls_context(target)  # gRPC itself says nothing of a key that does not fit
    files = (target.ca, target.key, target.certificate)
    authority, key, certificate = (path.read_bytes() if path else None for path in files)
    return authority, key, certificate


def _files(target: Address) -> str:
    return ", ".join(str(path) for path in (target.ca, target.certificate, target.key) if path)
