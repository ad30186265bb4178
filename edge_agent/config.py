"""Settings of the edge agent, one TOML file.

[vehicle]
id = "WVWZZZ1JZXW000001"

[[bus]]
name = "can0"
source = "socketcan:can0"
databases = ["powertrain.dbc"]

[signals]
catalogs = ["vss.json"]
overlays = ["mapping.vspec"]

[spool]
dir = "/var/lib/fairway/spool"

[uplink]
url = "mqtts://cloud.example:8883"
ca = "ca.pem"
certificate = "vehicle.pem"
key = "vehicle.key"
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.config_campaigns import Budget, Campaigns, Network
from edge_agent.config_diagnostics import Ecu, check_ecus
from edge_agent.config_fleetwise import FleetWise
from edge_agent.config_services import Services
from edge_agent.config_updates import Updates
from fairway.errors import BadInput
from fairway.identity import region_name
from fairway.ids import vehicle_id

# A campaign's priority is 32 bits: nothing of theirs is sent after this.
AFTER_CAMPAIGNS = 1 << 32


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Who we are: the common name of our certificate."""

    id: str
    region: str = ""  # the only one whose servers we talk to; by default that of our certificate

    def __post_init__(self) -> None:
        vehicle_id(self.id)
        if self.region:
            region_name(self.region)


@dataclass(frozen=True, slots=True)
class Bus:
    """One bus, and the databases that describe its traffic, the most trusted first."""

    name: str
    databases: tuple[Path, ...]
    source: str | None = None  # without one, the channel of this name in the replayed log
    interface: str = ""  # with dialect "fleetwise": what decoder manifests call this bus

    def __post_init__(self) -> None:
        if not self.name or "." in self.name:
            raise BadInput(
                f"the name {self.name!r} begins signals' names: it cannot be empty or have a dot"
            )


@dataclass(frozen=True, slots=True)
class Replay:
    """A log in place of buses."""

    log: Path
    speed: Literal["max"] | float = "max"  # or a factor: 1.0 is real time
    resume: bool = True  # a restart goes on where the spool ends, as if there had been none
    after_services: bool = False  # begins when the services of [services] run, 60 s later at most

    def __post_init__(self) -> None:
        if self.speed != "max" and not self.speed > 0:
            raise BadInput(f"speed is {self.speed!r}; choose 'max' or a factor above 0")


@dataclass(frozen=True, slots=True)
class Signals:
    """What signals are called: VSS catalogues, and overlays that map buses onto them."""

    catalogs: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is collected, and how it is packed: larger batches cost fewer bytes, smaller ones less delay."""

    # mapped, or all other signals too; none: campaigns only, which then may collect all
    collect: Literal["mapped", "all", "none"] = "mapped"
    interval_ms: int = 100  # at most one sample of a signal in so long
    on_change: bool = True
    batch_max_samples: int = 1000
    batch_max_age_ms: int = 1000
    batch_max_bytes: int = 131_072  # what AWS IoT Core takes; other brokers take more
    priority: int = AFTER_CAMPAIGNS  # among campaigns: the lower number is sent first

    def __post_init__(self) -> None:
        _within("interval_ms", self.interval_ms, 0, 3_600_000)
        _within("batch_max_samples", self.batch_max_samples, 1, 1_000_000)
        _within("batch_max_age_ms", self.batch_max_age_ms, 1, 3_600_000)
        _within("batch_max_bytes", self.batch_max_bytes, 1024, 16_777_216)
        _within("priority", self.priority, 0, AFTER_CAMPAIGNS)


@dataclass(frozen=True, slots=True)
class Spool:
    """Where batches wait until the cloud has them."""

    dir: Path
    max_bytes: int = 268_435_456  # some 100 hours of a car's mapped signals
    when_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    fsync_interval_ms: int = (
        0  # 0: every batch at once; else batches are written together, and less often
    )

    def __post_init__(self) -> None:
        _within("max_bytes", self.max_bytes, 1_048_576, 1 << 40)
        _within("fsync_interval_ms", self.fsync_interval_ms, 0, 60_000)


@dataclass(frozen=True, slots=True)
class Identity:
    """What `edge-agent enroll` wrote, and the agent renews: certificate, authority, and the name of the key."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Uplink:
    """The way to the cloud: mqtts:// or grpcs://, with our certificate, or with [identity]."""

    url: str = ""  # with an identity: where the cloud said that it is
    ca: Path | None = (
        None  # who signed the cloud's certificate; the system's authorities by default
    )
    certificate: Path | None = None
    key: Path | None = None
    # Hosts of the vehicle's region, *. for any number of names before; no other is asked.  By default any is.
    region_hosts: tuple[str, ...] = ()
    tls_min: Literal["1.2", "1.3"] = "1.3"  # 1.2 for a broker of somebody else's that has no newer
    dialect: Literal["fairway", "fleetwise"] = "fairway"  # fleetwise: a cloud shaped like AWS's


@dataclass(frozen=True, slots=True)
class Metrics:
    """Prometheus metrics over HTTP; nothing listens unless an address is given."""

    listen: str | None = None


@dataclass(frozen=True, slots=True)
class Onboard:
    """The door for apps in the vehicle; without the table [onboard] there is none."""

    listen: str = (
        ""  # unix:/path or tls://host:port; a socket called onboard.sock beside the spool without
    )
    keys: tuple[Path, ...] = ()  # public keys of who issues tokens: PEM or JWKS
    audience: tuple[str, ...] = ("kuksa.val",)  # a token names one of them
    issuer: str = ""
    revoked: Path | None = None  # ids of tokens that are good no longer, one a line
    group: str = ""  # who may open the socket; the agent's own group without
    certificate: Path | None = None  # with tls://
    key: Path | None = None
    client_ca: Path | None = None  # with it, apps need a certificate too
    trust_socket: bool = False  # who may open the socket may do everything without a token
    plain: bool = False  # allows tcp:// on this machine
    viss: str = (
        ""  # host:port for VISS by WebSocket and HTTP, with the door's certificate; none without
    )
    history_count: int = 1000  # values of each signal that can be asked for later
    history_age_s: int = 600
    history_max_bytes: int = 16_777_216  # of all signals together; fewer values of each, if need be

    def __post_init__(self) -> None:
        _within("history_count", self.history_count, 0, 1_000_000)
        _within("history_age_s", self.history_age_s, 0, 86_400)
        _within("history_max_bytes", self.history_max_bytes, 0, 1 << 32)
        if not self.keys and not self.trust_socket:
            raise BadInput(
                "keys is empty: name the public keys that sign tokens, or no app gets in"
            )
        if not self.audience:
            raise BadInput("audience is empty: no token would be for this agent")
        if (self.certificate is None) != (self.key is None):
            raise BadInput("a certificate and its key belong together: give both, or neither")
        if self.client_ca is not None and self.certificate is None:
            raise BadInput("client_ca is for TLS: give a certificate and a key too")


@dataclass(frozen=True, slots=True)
class Outbound:
    """A frame that may be sent; what is not named here never is."""

    bus: str
    id: int  # without flags; above 0x7FF it is one of 29 bits
    min_period_ms: int = 100  # two of these frames are so far apart
    condition: str = ""  # must hold when it is sent, as in "Vehicle.Speed < 5"
    fill: Literal["current", "defaults"] = "current"  # what the other signals of the frame say
    defaults: Path | None = None  # JSON, values by signal: for those that nobody has said
    checksum: str = ""  # kind, as in "crc8-sae-j1850"
    checksum_signal: str = "Checksum"
    counter_signal: str = ""
    data_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _within("id", self.id, 0, 0x1FFF_FFFF)
        _within("min_period_ms", self.min_period_ms, 1, 3_600_000)


@dataclass(frozen=True, slots=True)
class Actuation:
    """How an actuator is acted on, where it is not as usual."""

    path: str
    feedback: str = ""  # the signal that confirms; the actuator itself without
    tolerance: float = 0.0
    deadline_ms: int = 1000
    interlock: str = (
        ""  # must hold when it is asked for and when it is sent, as in "Vehicle.Speed == 0"
    )
    writers: tuple[str, ...] = ()  # apps, the first outranks the next; all others come after them
    lease_ms: int = 0  # how long a writer keeps others of its rank out after it was confirmed
    repeat_ms: int = 0  # the frame is sent again so often until the vehicle confirms; 0: once

    def __post_init__(self) -> None:
        _within("deadline_ms", self.deadline_ms, 1, 600_000)
        _within("lease_ms", self.lease_ms, 0, 3_600_000)
        _within("repeat_ms", self.repeat_ms, 0, 600_000)
        if not 0 <= self.tolerance < float("inf"):
            raise BadInput(f"tolerance is {self.tolerance}; choose 0 or more")


@dataclass(frozen=True, slots=True)
class Functions:
    """Custom functions of campaigns: foreign code, and what it may use of the vehicle."""

    enabled: bool = True  # what campaigns bring in Python runs, in processes that can reach nothing
    memory_max_mb: int = 32  # of one campaign's functions, beyond what Python itself takes
    call_timeout_ms: int = 50  # collection waits for an answer, and no longer than this
    cpu_max_ms_per_s: int = 100  # of one campaign's functions
    without_seccomp: bool = False  # they run even where the kernel does not filter system calls
    file_size_paths: tuple[
        Path, ...
    ] = ()  # files, and folders of files, whose size may be asked for

    def __post_init__(self) -> None:
        _within("memory_max_mb", self.memory_max_mb, 1, 4096)
        _within("call_timeout_ms", self.call_timeout_ms, 1, 10_000)
        _within("cpu_max_ms_per_s", self.cpu_max_ms_per_s, 1, 1000)


@dataclass(frozen=True, slots=True)
class Log:
    """What is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the agent is told."""

    vehicle: Vehicle
    bus: tuple[Bus, ...]
    spool: Spool
    uplink: Uplink | None = None  # without one, batches are only spooled
    identity: Identity | None = None  # without one, certificates are files of somebody else
    replay: Replay | None = None
    signals: Signals = field(default_factory=Signals)
    telemetry: Telemetry = field(default_factory=Telemetry)
    campaigns: Campaigns = field(default_factory=Campaigns)
    budget: Budget = field(default_factory=Budget)
    network: Network = field(default_factory=Network)
    fleetwise: FleetWise = field(default_factory=FleetWise)
    metrics: Metrics = field(default_factory=Metrics)
    onboard: Onboard | None = None
    outbound: tuple[Outbound, ...] = ()
    actuation: tuple[Actuation, ...] = ()
    ecu: tuple[Ecu, ...] = ()
    functions: Functions = field(default_factory=Functions)
    services: Services | None = None
    updates: Updates | None = None
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        if not self.bus:
            raise BadInput("there is no [[bus]]: name at least one")
        without = [bus.name for bus in self.bus if bus.source is None]
        if without and self.replay is None:
            raise BadInput(
                f"bus {without[0]} has no source, and there is no [replay] that could be one"
            )
        if self.replay is not None and not without:
            raise BadInput("every [[bus]] has a source of its own: nothing is left for [replay]")
        self._check_uplink()
        self._check_acting()
        live = [bus.name for bus in self.bus if bus.source is not None]
        check_ecus(self.ecu, live, [(one.bus, one.id) for one in self.outbound])

    def _check_acting(self) -> None:
        if self.outbound and self.onboard is None:
            raise BadInput("[[outbound]] is for what apps ask for: there is no [onboard] to ask at")
        if self.actuation and not self.outbound:
            raise BadInput("[[actuation]] needs [[outbound]]: no frame may be sent without")
        names = {bus.name: bus for bus in self.bus}
        for one in self.outbound:
            if one.bus not in names:
                raise BadInput(
                    f"[[outbound]] names the bus {one.bus}, and there is no such [[bus]]"
                )
            if names[one.bus].source is None:
                raise BadInput(f"nothing can be sent on {one.bus}: it is a log")

    def _check_uplink(self) -> None:
        uplink = self.uplink
        if uplink is None:
            return
        if self.identity is None and not uplink.url:
            raise BadInput("uplink.url is missing, and there is no [identity] that knows one")
        if uplink.dialect == "fleetwise":
            self._check_fleetwise()
        if self.identity is not None and (uplink.ca or uplink.certificate or uplink.key):
            raise BadInput(
                "[identity] has certificates: leave ca, certificate and key out of [uplink]"
            )

    def _check_fleetwise(self) -> None:
        if self.uplink is not None and self.uplink.url.startswith("grpc"):
            raise BadInput("a cloud of FleetWise is reached by MQTT: set uplink.url to mqtts://...")
        if self.telemetry.collect != "none":
            raise BadInput(
                'a cloud of FleetWise takes campaigns only: set [telemetry] collect = "none"'
            )
        if not any(bus.interface for bus in self.bus):
            raise BadInput("say in a [[bus]] which interface of FleetWise it is: interface = ...")


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"{name} is {value}; choose from {least} to {most}")
