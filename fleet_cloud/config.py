"""Settings of the fleet cloud, one TOML file; every one has a default that serves one machine.

data_dir = "/var/lib/fairway"

[broker]                                 # an MQTT broker of your own
mode = "external"
url = "mqtts://broker.example:8883"
ca = "ca.pem"
certificate = "cloud.pem"
key = "cloud-key.pem"

[registry]
url = "postgresql+psycopg://fairway@db.example/fairway"

[store]
url = ["http://store-1.example:8123", "http://store-2.example:8123"]
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fairway.errors import BadInput
from fairway.fleetwise.topics import Prefixes
from fairway.identity import DEFAULT_REGION, region_name, tenant_name
from fleet_cloud.config_updates import Artifacts, HawkBit, Jobs, Rollouts


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port to listen on; port 0 means any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody beyond this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def endpoint(text: str) -> Endpoint:
    """Parse `host:port` or `[v6]:port`.  Raises BadInput."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(
            f"{text!r} is not an address to listen on: write host:port, as in 127.0.0.1:8080"
        )
    return Endpoint(host, int(port))


@dataclass(frozen=True, slots=True)
class Oidc:
    """An issuer of tokens that is believed, and what its words mean here."""

    issuer: str
    audience: str
    roles_claim: str = "roles"  # a.b for `b` in the object `a`
    tenant: str = ""  # the only one it speaks for; empty: what it says
    # Its word (a group, a role) -> ROLE[@TENANT[/FLEET]]; empty: its words are such grants themselves.
    grants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Api:
    """The REST API, and who is let in."""

    listen: str = "127.0.0.1:8080"
    certificate: Path | None = None  # TLS; beyond loopback, one of the region's own by default
    key: Path | None = None
    plain: bool = False  # no TLS beyond loopback either: a proxy in front has it
    proxies: tuple[str, ...] = ()  # addresses of those proxies: whom they speak for is believed
    oidc: tuple[Oidc, ...] = ()
    sign_in: bool = False  # an issuer of its own with a login page, on a loopback address only

    def __post_init__(self) -> None:
        where = endpoint(self.listen)
        if (self.certificate is None) != (self.key is None):
            raise BadInput("certificate and key belong together: give both or neither")
        if self.plain and self.certificate is not None:
            raise BadInput("plain is without TLS: give no certificate, or do not set it")
        if self.sign_in and not where.is_loopback:
            raise BadInput(
                f"sign_in is for a demo on one machine, and {self.listen} is reached by others: name your"
                " company's issuer in oidc instead"
            )


@dataclass(frozen=True, slots=True)
class Grpc:
    """The gRPC door."""

    enabled: bool = True
    listen: str = "127.0.0.1:8443"

    def __post_init__(self) -> None:
        endpoint(self.listen)


@dataclass(frozen=True, slots=True)
class Broker:
    """The MQTT broker: a child of this process, or anyone's by URL."""

    mode: Literal["embedded", "external", "none"] = "embedded"
    program: Literal["any", "mosquitto", "nats-server"] = "any"  # embedded: which to run
    listen: str = "127.0.0.1:8883"  # embedded
    url: str = ""  # external: mqtts://host:port, or mqtt://host:port inside a trusted network
    ca: Path | None = (
        None  # external: who signed the broker's certificate; the system's CAs by default
    )
    certificate: Path | None = (
        None  # external: our client certificate, for brokers that ask for one
    )
    key: Path | None = None
    username: str = ""
    password_file: Path | None = None

    def __post_init__(self) -> None:
        endpoint(self.listen)
        if self.mode == "external" and not self.url.startswith(("mqtts://", "mqtt://")):
            raise BadInput(f"url is {self.url!r}; an external broker is mqtts://host:port")
        if (self.certificate is None) != (self.key is None):
            raise BadInput("certificate and key belong together: give both or neither")


@dataclass(frozen=True, slots=True)
class FleetWise:
    """Agents of AWS IoT FleetWise at the broker."""

    # In one process of those that share a broker: the session in which agents are heard is one.
    enabled: bool = False
    # iotFleetWiseTopicPrefix, commandsTopicPrefix and jobsTopicPrefix of the agents.
    topic_prefix: str = "$aws/iotfleetwise/"
    commands_topic_prefix: str = "$aws/commands/"
    jobs_topic_prefix: str = "$aws/things/"
    # An external broker: whom it knows as fairway-cloud-fleetwise; [broker]'s own by default.
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise BadInput("certificate and key belong together: give both or neither")
        Prefixes(self.topic_prefix, self.commands_topic_prefix, self.jobs_topic_prefix)

    @property
    def prefixes(self) -> Prefixes | None:
        """The topics of those agents; None: there are none."""
        if not self.enabled:
            return None
        return Prefixes(self.topic_prefix, self.commands_topic_prefix, self.jobs_topic_prefix)


@dataclass(frozen=True, slots=True)
class Registry:
    """Where the fleet, the ledger and the dictionaries are kept."""

    url: str = ""  # a SQLite file in data_dir by default


@dataclass(frozen=True, slots=True)
class Store:
    """Where telemetry is kept."""

    url: tuple[str, ...] = ()  # one URL for each shard; the embedded engine in data_dir by default


@dataclass(frozen=True, slots=True)
class Tls:
    """How this machine is called in its own certificate, beside localhost."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pki:
    """How certificates are issued."""

    # How long a vehicle's is good; its agent renews it at two thirds of that.
    vehicle_days: int = 90
    # Where a tenant's issuing key lies, {tenant} for its name: pkcs11:... or awskms:...; by default a file.
    issuing_key: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.vehicle_days <= 3650:
            raise BadInput(f"vehicle_days is {self.vehicle_days}; choose from 1 to 3650")


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit log."""

    # What signs its newest entry: a file, pkcs11:..., tpm2:... or awskms:...; by default a file in data_dir.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Ingest:
    """How much is stored together, and how much may wait."""

    # Who claims batches.  A process that comes back under the same name takes up its own claims at once; two
    # processes must never have the same.  By default every start is somebody new, and `serve` is "serve".
    name: str = ""
    # Every insert is a part on disk that has to be merged later: with 400,000 rows the store spends half the
    # CPU of 200,000, and more than that it cuts in pieces itself.  Under less load age closes a group.
    group_max_samples: int = 400_000
    # What a sample waits at most for others; it is part of the latency from bus to row.
    group_max_age_ms: int = 100
    # Some 30 million samples on the wire.  Beyond, senders wait.
    queue_max_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("group_max_samples", "group_max_age_ms", "queue_max_bytes"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Campaigns: who approves them, and what their bytes cost."""

    # Whether who wrote a campaign may approve it as well: for a fleet of one operator.
    self_approval: bool = False
    # What a megabyte (1,000,000 bytes as received) costs; 0: nobody counts.
    price_per_mb: float = 0.0
    currency: str = ""  # as in EUR; shown beside costs

    def __post_init__(self) -> None:
        if not 0 <= self.price_per_mb <= 1e6:
            raise BadInput(f"price_per_mb is {self.price_per_mb:g}; choose from 0 to 1000000")
        if len(self.currency) > 8:
            raise BadInput(f"currency is {self.currency!r}; write at most 8 characters, as in EUR")


@dataclass(frozen=True, slots=True)
class Services:
    """Services of vehicles: who approves them."""

    # Tenants whose services wait for approval by somebody else than their author; "*" for all of them.
    approval: tuple[str, ...] = ()
    # Whether their author may approve them as well: for a fleet of one operator.
    self_approval: bool = False

    def __post_init__(self) -> None:
        for tenant in self.approval:
            if tenant != "*":
                tenant_name(tenant)

    def needs_approval(self, tenant: str) -> bool:
        """Whether a tenant demands approval."""
        return "*" in self.approval or tenant in self.approval


@dataclass(frozen=True, slots=True)
class Updates:
    """The device door: where vehicles fetch their updates, over HTTPS."""

    enabled: bool = False
    listen: str = "127.0.0.1:8444"
    # How vehicles reach it, where that is not this machine and port: https://updates.example
    url: str = ""
    # What signs snapshot and timestamp of a tenant's Image repository anew, {tenant} for its name: pkcs11:...
    # or awskms:...; by default a file.  `fleet-cloud release key` makes it.
    online_key: str = ""

    def __post_init__(self) -> None:
        endpoint(self.listen)
        if self.url and not self.url.startswith("https://"):
            raise BadInput(f"updates.url is {self.url!r}; write https://HOST:PORT")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where a `fleet-cloud ingest` says how it is doing (/metrics, /healthz); `serve` does in its API."""

    listen: str = ""  # nowhere: several of them on one machine would want the same port

    def __post_init__(self) -> None:
        if self.listen:
            endpoint(self.listen)


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    data_dir: Path | None = None
    # Where data lives: chosen once, noted in the data directory, and vehicles of no other region are let in.
    region: str = DEFAULT_REGION
    api: Api = field(default_factory=Api)
    grpc: Grpc = field(default_factory=Grpc)
    broker: Broker = field(default_factory=Broker)
    fleetwise: FleetWise = field(default_factory=FleetWise)
    registry: Registry = field(default_factory=Registry)
    store: Store = field(default_factory=Store)
    tls: Tls = field(default_factory=Tls)
    pki: Pki = field(default_factory=Pki)
    audit: Audit = field(default_factory=Audit)
    ingest: Ingest = field(default_factory=Ingest)
    campaigns: Campaigns = field(default_factory=Campaigns)
    services: Services = field(default_factory=Services)
    artifacts: Artifacts = field(default_factory=Artifacts)
    updates: Updates = field(default_factory=Updates)
    rollouts: Rollouts = field(default_factory=Rollouts)
    hawkbit: HawkBit = field(default_factory=HawkBit)
    jobs: Jobs = field(default_factory=Jobs)
    metrics: Metrics = field(default_factory=Metrics)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        region_name(self.region)
        if self.fleetwise.enabled and self.broker.mode == "none":
            raise BadInput("agents of FleetWise are served at a broker, and broker.mode is none")
        if self.jobs.enabled and self.broker.mode == "none":
            raise BadInput("AWS IoT Jobs are served at a broker, and broker.mode is none")
        if self.hawkbit.enabled and not self.updates.enabled:
            raise BadInput("hawkBit's clients come by the device door: set updates.enabled as well")

    @property
    def folder(self) -> Path:
        """The data directory.  Raises BadInput when none was given."""
        if self.data_dir is None:
            raise BadInput("say where data is kept: --data DIR, or data_dir in the configuration")
        return self.data_dir
