"""A service and what it may do, in the words of the field; vehicle and cloud agree on this.

    manifest.py: YAML > Service > edge_agent: Instance (one version of it, ready to run) > Runtime

Rule 1: what a service does not ask for it does not get: signals, other services, network, memory.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from fairway.errors import BadInput

# A name becomes a host name, a folder, a control group and part of a socket's path, which is 107 bytes at most.
NAME_MAX_CHARS = 40
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MIB = 1 << 20


class Restart(StrEnum):
    """When a service that ended is started again; the words are Ankaios'."""

    NEVER = "NEVER"
    ON_FAILURE = "ON_FAILURE"
    ALWAYS = "ALWAYS"


class Condition(StrEnum):
    """What a service waits for in another before it starts; the first three are Ankaios'."""

    RUNNING = "ADD_COND_RUNNING"
    SUCCEEDED = "ADD_COND_SUCCEEDED"
    FAILED = "ADD_COND_FAILED"
    HEALTHY = "ADD_COND_HEALTHY"  # ours: it is ready, too


class OnLoss(StrEnum):
    """What becomes of a service while the vehicle has no cloud."""

    KEEP = "keep"
    STOP = "stop"
    FALL_BACK = "fall_back"  # the other service that it names runs in its place


class How(StrEnum):
    """How a new version takes the place of an old one."""

    BESIDE = "beside"  # both run until the new one is healthy
    AFTER = "after"  # the old one is stopped first: for what can be there once only


class Runner(StrEnum):
    """Which kind of runtime a service is for."""

    CONTAINER = "container"
    PROCESS = "process"  # a program of the vehicle's own file system: not isolated, so never chosen by itself


class Access(StrEnum):
    """How a service shows who it is at the door of vehicle data."""

    TOKEN = "token"  # with the token that was minted for it, from its own socket  # noqa: S105
    SOCKET = "socket"  # by its socket alone: for images that cannot show a token


class Network(StrEnum):
    """What a service reaches beside its sockets."""

    NONE = "none"  # a loopback of its own
    HOST = "host"  # everything the vehicle reaches; the agent's settings must allow it by name


@dataclass(frozen=True, slots=True)
class Resources:
    """What a service may take at most."""

    memory_max_bytes: int = 64 * MIB
    cpu_max: float = 0.5  # of one core, on average
    pids_max: int = 64
    tmp_max_bytes: int = 16 * MIB  # /tmp, which is memory
    files_max: int = 1024  # open at once


@dataclass(frozen=True, slots=True)
class Command:
    """A probe: it runs inside and must end with 0."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Http:
    """A probe: a GET is answered with 200 to 399.  Of `socket` and `port` one is given."""

    path: str = "/"
    port: int = 0  # on the service's own loopback
    socket: str = ""  # a name in its socket folder


@dataclass(frozen=True, slots=True)
class Grpc:
    """A probe: grpc.health.v1.Health/Check says SERVING.  Of `socket` and `port` one is given."""

    service: str = ""
    port: int = 0
    socket: str = ""


@dataclass(frozen=True, slots=True)
class Publishes:
    """A probe: each of these signals was published by the service no longer ago than this."""

    paths: tuple[str, ...]
    age_max_s: float


Probe = Command | Http | Grpc | Publishes


@dataclass(frozen=True, slots=True)
class Check:
    """A probe, and how it is used."""

    probe: Probe
    interval_s: float = 5.0
    timeout_s: float = 1.0
    failures: int = 3  # so many in a row are a failure
    delay_s: float = 0.0  # after the start, before the first


@dataclass(frozen=True, slots=True)
class Health:
    """How it is known that a service lives (else it is started anew) and serves (else it is not used)."""

    liveness: Check | None = None
    readiness: Check | None = None  # without one it is ready while it runs
    within_s: float = 10.0  # a new version is ready within so long, and stays so for `soak_s`
    soak_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Signals:
    """VSS paths, * for one level: what is not here is denied."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()  # actuators it may set
    provide: tuple[str, ...] = ()  # values it publishes

    @property
    def scope(self) -> str:
        """The same as scopes of a token: `read:Vehicle.Speed provide:data:Vehicle.X`."""
        words = [f"read:{path}" for path in self.read]
        words += [f"actuate:{path}" for path in self.write]
        words += [f"provide:data:{path}" for path in self.provide]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Offer:
    """An interface that a service serves on the socket `socket` in its folder."""

    name: str  # as "battery.health"
    version: str  # major.minor.patch
    socket: str  # a name in its socket folder
    proto: str = ""  # the full name of the gRPC service
    features: tuple[str, ...] = ()
    to: tuple[str, ...] = ()  # services that may use it; both manifests must agree


@dataclass(frozen=True, slots=True)
class Use:
    """An interface of another service that this one calls."""

    name: str
    version: str = "*"  # as ">=1.2 <2"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """A folder that outlives restarts and new versions."""

    path: str  # inside
    max_bytes: int = 16 * MIB


@dataclass(frozen=True, slots=True)
class Change:
    """How a new version of this service comes into force."""

    how: How = How.AFTER


@dataclass(frozen=True, slots=True)
class Service:
    """One service as its manifest says."""

    name: str
    version: str
    image: str = ""  # sha256:... of the OCI manifest; "" with Runner.PROCESS
    command: tuple[str, ...] = ()  # the image's own without
    environment: tuple[tuple[str, str], ...] = ()
    runner: Runner = Runner.CONTAINER
    resources: Resources = field(default_factory=Resources)
    restart: Restart = Restart.ALWAYS
    stop_signal: str = "TERM"
    stop_grace_s: float = 5.0
    health: Health = field(default_factory=Health)
    depends_on: tuple[tuple[str, Condition], ...] = ()
    signals: Signals = field(default_factory=Signals)
    offers: tuple[Offer, ...] = ()
    uses: tuple[Use, ...] = ()
    access: Access = Access.TOKEN
    network: Network = Network.NONE
    data: tuple[Data, ...] = ()
    on_loss: OnLoss = OnLoss.KEEP
    fall_back: str = ""  # the service that runs instead, with OnLoss.FALL_BACK
    change: Change = field(default_factory=Change)
    tags: tuple[tuple[str, str], ...] = ()
    is_active: bool = True  # declared, but not to run by itself: a stand-in for another

    def __post_init__(self) -> None:
        service_name(self.name)
        if self.image and not _DIGEST.fullmatch(self.image):
            raise BadInput(
                f"the image of {self.name} is {self.image[:80]!r}: name it by digest, sha256: and 64 hex digits"
            )


def service_name(text: str) -> str:
    """Return `text` if it can be the name of a service.  Raises BadInput."""
    if len(text) > NAME_MAX_CHARS or not _NAME.fullmatch(text):
        raise BadInput(
            f"a service is called {text[:80]!r}: use a-z, 0-9 and - inside, {NAME_MAX_CHARS} at most"
        )
    return text
