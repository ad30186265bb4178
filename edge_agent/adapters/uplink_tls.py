"""Where an uplink goes and with which certificates: one URL, files, and a key that may lie in hardware.

Rule 1: certificates are read at every connection: they may have been renewed since the last.
Rule 2: a key in a token or a TPM signs handshakes and stays where it is.  gRPC asks us to sign; Python's own
TLS, which MQTT speaks, wants the key itself.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography import x509

from edge_agent.telemetry.guard import Guard, guard_of
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
    guard: Guard = field(default_factory=Guard)
    tls_min: Literal["1.2", "1.3"] = "1.3"

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


def guarded(
    target: Address, *, region: str, hosts: tuple[str, ...], tls_min: Literal["1.2", "1.3"]
) -> Address:
    """Return `target` with what is asked of the server there.  Raises BadInput when it cannot be the one."""
    guard = guard_of(region, hosts, own_uris(target.certificate))
    guard.check_host(target.host)
    if region and not target.is_secure:
        raise BadInput(
            f"{target} has no certificate that could say its region: write an s at {target.scheme}"
        )
    return replace(target, guard=guard, tls_min=tls_min)


class GuardedContext(ssl.SSLContext):
    """A context that knows what is asked of servers, for whoever finishes a handshake with it."""

    target: Address

    def check_server(self, shown: Mapping[str, Any] | None) -> None:
        """Raise Denied unless the certificate that the server has shown is that of one to talk to."""
        self.target.guard.check_server(self.target.host, server_uris(shown))


def server_context(target: Address) -> GuardedContext:
    """Return a context that knows the cloud's authority.  Raises BadInput."""
    context = GuardedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.target = target
    context.minimum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2,
        "1.3": ssl.TLSVersion.TLSv1_3,
    }[target.tls_min]
    try:
        if target.ca:
            context.load_verify_locations(target.ca)
        else:
            context.load_default_certs()
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"{_files(target)}: no certificates for {target} ({error})") from error
    return context


def tls_context(target: Address) -> GuardedContext:
    """Return a context that knows the cloud's authority and the vehicle's certificate.  Raises BadInput."""
    if target.hardware_key:
        raise BadInput(
            "the vehicle's key lies in a token or TPM, which the TLS of MQTT cannot use: set uplink.url to the"
            " cloud's grpcs:// address"
        )
    context = server_context(target)
    try:
        if target.certificate and target.key:
            context.load_cert_chain(target.certificate, target.key)
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"{_files(target)}: no certificates for {target} ({error})") from error
    return context


def server_uris(shown: Mapping[str, Any] | None) -> list[str]:
    """Return the URIs of a certificate as `getpeercert` tells it."""
    return [value for kind, value in (shown or {}).get("subjectAltName", ()) if kind == "URI"]


def own_uris(certificate: Path | None) -> list[str]:
    """Return the URIs of the vehicle's certificate.  Raises BadInput when it cannot be read."""
    if certificate is None:
        return []
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except (OSError, ValueError) as error:
        raise BadInput(f"{certificate} is no certificate of this vehicle: {error}") from error
    return found.value.get_values_for_type(x509.UniformResourceIdentifier)


def hint(error: Exception) -> str:
    """Return what to do about a handshake that failed, when there is something."""
    is_old = isinstance(error, ssl.SSLError) and any(
        word in str(error) for word in ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")
    )
    return "; it speaks no TLS 1.3: see uplink.tls_min" if is_old else ""


def content(path: Path | None) -> bytes | None:
    """Return what is in a file, None for none.  Raises BadInput."""
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _files(target: Address) -> str:
    return ", ".join(str(path) for path in (target.ca, target.certificate, target.key) if path)
