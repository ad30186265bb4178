"""Settings turned into addresses: where the cloud's parts find each other, and where others find them."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from fairway.errors import BadInput
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Broker, Config, Endpoint, endpoint


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and how to be let in."""

    url: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str = ""
    password: str = ""


def without_password(url: str) -> str:
    """Return `url` as it may be shown, however wrong it is."""
    return re.sub(r":[^/@]*@", ":***@", url)


def sqlite_url(path: Path) -> str:
    """Return the URL of a registry in the file `path`."""
    return f"sqlite:///{path}"


def registry_url(config: Config, folder: Path) -> str:
    """Return the registry's URL: a file in `folder` unless the configuration names another."""
    return config.registry.url or sqlite_url(folder / "registry.sqlite")


def store_is_embedded(config: Config) -> bool:
    """Whether the telemetry store lives in this process."""
    return config.store.url in ((), ("chdb:",))


def reached(config: Config, host: str, port: int) -> str:
    """Return how others call what listens on `host`: "all addresses" is a name for nobody."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = config.tls.names[0] if config.tls.names else "localhost"
    return str(Endpoint(host, port))


def embedded_broker(config: Config, pki: FilePki, port: int) -> BrokerAddress:
    """Return how the cloud itself reaches the broker it runs."""
    host = endpoint(config.broker.listen).host
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return BrokerAddress(f"mqtts://{Endpoint(own, port)}", pki.ca, pki.cloud, pki.cloud_key)


def fleetwise_broker(config: Config, pki: FilePki, address: BrokerAddress) -> BrokerAddress:
    """Return how whoever serves agents of FleetWise reaches the broker at `address`: as a user of its own."""
    settings = config.fleetwise
    if config.broker.mode == "embedded":
        return replace(address, certificate=pki.fleetwise, key=pki.fleetwise_key)
    if settings.certificate is None:
        return address
    return replace(address, certificate=settings.certificate, key=settings.key)


def external_broker(settings: Broker) -> BrokerAddress:
    """Return how the cloud reaches a broker that somebody else runs.  Raises BadInput."""
    password = ""
    if settings.password_file is not None:
        try:
            password = settings.password_file.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(
                f"cannot read a password in {settings.password_file}: {error}"
            ) from error
    return BrokerAddress(
        settings.url, settings.ca, settings.certificate, settings.key, settings.username, password
    )


def client_name(text: str) -> str:
    """Return `text` as every broker takes it in a client id."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in text)
