"""What has to hold in a service beyond the form of its manifest, whoever wrote it: we, or an importer.

Rule 1: what would be refused when it starts is refused here already, with what to do.
Rule 2: names that become paths cannot leave their folder.
"""

import posixpath
import re
from collections.abc import Iterable

from fairway.errors import BadInput
from fairway.services.model import (
    Check,
    Command,
    Http,
    OnLoss,
    Publishes,
    Runner,
    Service,
    service_name,
)
from fairway.services.ranges import range_of

ARGUMENTS_MAX = 256
ARGUMENTS_MAX_CHARS = 65_536
LIST_MAX = 64
SIGNALS_MAX = 1024
STOP_SIGNALS = ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL")
# A socket's path is 107 bytes: folders of a vehicle, 12 digits of an instance, and this.
SOCKET_NAME_MAX_CHARS = 32
VERSION_MAX_CHARS = 64
TAG_MAX_CHARS = 1024
# In a service's socket folder these are the agent's.
RESERVED = frozenset({"agent.sock", "token", "uses", "keys.jwks", "registry.sock"})
# Folders that the runtime makes, or that a program cannot do without.
_TAKEN = tuple(
    f"/{name}"
    for name in ("proc", "sys", "dev", "run", "tmp", "etc", "usr", "bin", "sbin", "lib", "lib64")
)

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*")
_OFFERED = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_INTERFACE = re.compile(r"[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*")
_PROTO = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNAL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|\*)(\.([A-Za-z0-9_]+|\*))*")


def checked(service: Service) -> Service:
    """Return `service` if it can run in some vehicle.  Raises BadInput: `place: what is wrong`."""
    _version(service)
    _what_runs(service)
    _environment(service)
    _dependencies(service)
    _signals(service)
    _interfaces(service)
    _folders(service)
    for place, check in (
        ("health.liveness", service.health.liveness),
        ("health.readiness", service.health.readiness),
    ):
        if check is not None:
            _probe(service, check, place)
    for key, value in service.tags:
        if not key or len(key) + len(value) > TAG_MAX_CHARS:
            raise BadInput(f"tags.{key[:80]}: give a key, and {TAG_MAX_CHARS} characters at most")
    return service


def _version(service: Service) -> None:
    if len(service.version) > VERSION_MAX_CHARS or not _VERSION.fullmatch(service.version):
        raise BadInput(f"version: is {service.version[:80]!r}; write it as 1.2.0")


def _what_runs(service: Service) -> None:
    if service.runner is Runner.CONTAINER and not service.image:
        raise BadInput("image: is missing; name an image by its digest, or choose runner: process")
    if service.runner is Runner.PROCESS:
        if service.image:
            raise BadInput("image: a process has none; leave it out, or leave out runner: process")
        if not service.command:
            raise BadInput("command: is missing; a process has no image that could say it")
        if not service.command[0].startswith("/"):
            raise BadInput(
                f"command[0]: is {service.command[0][:80]!r}; name a program by its whole path"
            )
    if len(service.command) > ARGUMENTS_MAX or sum(map(len, service.command)) > ARGUMENTS_MAX_CHARS:
        raise BadInput(
            f"command: {ARGUMENTS_MAX} words and {ARGUMENTS_MAX_CHARS} characters at most"
        )
    if any("\0" in word for word in service.command):
        raise BadInput("command: has a zero byte")
    if service.stop_signal not in STOP_SIGNALS:
        raise BadInput(
            f"stop.signal: is {service.stop_signal[:80]!r}; choose from {', '.join(STOP_SIGNALS)}"
        )


def _environment(service: Service) -> None:
    names = [name for name, _ in service.environment]
    _once("environment", names)
    for name, value in service.environment:
        if not _ENVIRONMENT.fullmatch(name):
            raise BadInput(f"environment: {name[:80]!r} names no variable: use A-Z, 0-9 and _")
        if name.startswith("FAIRWAY_"):
            raise BadInput(f"environment: {name} is the agent's: it sets what begins with FAIRWAY_")
        if "\0" in value:
            raise BadInput(f"environment.{name}: has a zero byte")


def _dependencies(service: Service) -> None:
    names = [name for name, _ in service.depends_on]
    _once("depends_on", names)
    for name in names:
        _named("depends_on", name)
        if name == service.name:
            raise BadInput(f"depends_on: {name} waits for itself")
    if (service.on_loss is OnLoss.FALL_BACK) != bool(service.fall_back):
        raise BadInput("on_loss: fall_back and the service that then runs belong together")
    if service.fall_back:
        _named("on_loss.fall_back", service.fall_back)
        if service.fall_back == service.name:
            raise BadInput(f"on_loss.fall_back: {service.fall_back} cannot stand in for itself")


def _signals(service: Service) -> None:
    signals = service.signals
    for key, paths in (
        ("read", signals.read),
        ("write", signals.write),
        ("provide", signals.provide),
    ):
        _once(f"signals.{key}", paths)
        if len(paths) > SIGNALS_MAX:
            raise BadInput(f"signals.{key}: has {len(paths)} paths; {SIGNALS_MAX} at most")
        for path in paths:
            if len(path) > 1000 or not _SIGNAL.fullmatch(path):
                raise BadInput(
                    f"signals.{key}: {path[:80]!r} is no path; write Vehicle.Speed, and * for one level"
                )


def _interfaces(service: Service) -> None:
    _once("offers", [one.name for one in service.offers])
    _once("uses", [one.name for one in service.uses])
    for number, offer in enumerate(service.offers):
        place = f"offers[{number}]"
        _interface(place, offer.name)
        if not _OFFERED.fullmatch(offer.version):
            raise BadInput(f"{place}.version: is {offer.version[:80]!r}; write it as 1.2.0")
        _socket(f"{place}.socket", offer.socket)
        if offer.proto and not _PROTO.fullmatch(offer.proto):
            raise BadInput(f"{place}.proto: {offer.proto[:80]!r} is no full name of a gRPC service")
        for feature in offer.features:
            if len(feature) > 64 or not _WORD.fullmatch(feature):
                raise BadInput(f"{place}.features: {feature[:80]!r} is no word of a-z, 0-9, . - _")
        _once(f"{place}.features", offer.features)
        _once(f"{place}.to", offer.to)
        for name in offer.to:
            _named(f"{place}.to", name)
    for number, use in enumerate(service.uses):
        _interface(f"uses[{number}]", use.name)
        try:
            range_of(use.version)
        except BadInput as error:
            raise BadInput(f"uses[{number}].version: {error}") from error


def _folders(service: Service) -> None:
    paths = [one.path for one in service.data]
    for path in paths:
        if not path.startswith("/") or posixpath.normpath(path) != path or path == "/":
            raise BadInput(
                f"data: {path[:80]!r} is no folder; write an absolute path as /var/lib/x"
            )
        if any(ord(one) < 32 or one in "\\,:" for one in path) or len(path) > 200:
            raise BadInput(
                f"data: {path[:80]!r} has what cannot be mounted: 200 plain characters at most"
            )
        if any(path == taken or path.startswith(f"{taken}/") for taken in _TAKEN):
            raise BadInput(f"data: {path} is not for data; use a folder as /var/lib/{service.name}")
        if any(other != path and other.startswith(f"{path}/") for other in paths):
            raise BadInput(f"data: {path} holds another folder of data; name the outer one only")
    _once("data", paths)


def _probe(service: Service, check: Check, place: str) -> None:
    probe = check.probe
    if isinstance(probe, Command):
        if not probe.argv:
            raise BadInput(f"{place}.command: is empty")
        return
    if isinstance(probe, Publishes):
        _published(service, probe, place)
        return
    if bool(probe.port) == bool(probe.socket):
        raise BadInput(f"{place}: give a port or a socket, one of them")
    if probe.socket:
        _socket(f"{place}.socket", probe.socket)
    if isinstance(probe, Http) and not (probe.path.startswith("/") and _is_plain(probe.path)):
        raise BadInput(f"{place}.path: is {probe.path[:80]!r}; it begins with / and has no blank")


def _published(service: Service, probe: Publishes, place: str) -> None:
    if not probe.paths:
        raise BadInput(f"{place}.publishes: is empty: name signals that the service provides")
    for path in probe.paths:
        if not any(_covers(granted, path) for granted in service.signals.provide):
            raise BadInput(
                f"{place}.publishes: {path[:80]} is not among signals.provide: it could not be published"
            )


def _is_plain(text: str) -> bool:
    return all("!" <= one <= "~" for one in text)


def _covers(granted: str, path: str) -> bool:
    """Whether a pattern of `signals` names `path`; one without * names what is below it, too."""
    ours, theirs = granted.split("."), path.split(".")
    if "*" in path:
        return granted == path
    is_long_enough = len(ours) == len(theirs) or ("*" not in ours and len(ours) < len(theirs))
    return is_long_enough and all(a in ("*", b) for a, b in zip(ours, theirs, strict=False))


def _interface(place: str, name: str) -> None:
    if len(name) > 64 or not _INTERFACE.fullmatch(name):
        raise BadInput(f"{place}.name: is {name[:80]!r}; write it as battery.health")


def _socket(place: str, name: str) -> None:
    if len(name) > SOCKET_NAME_MAX_CHARS or not _FILE.fullmatch(name):
        raise BadInput(
            f"{place}: is {name[:80]!r}; give the name of a file, {SOCKET_NAME_MAX_CHARS} characters at most"
        )
    if name in RESERVED:
        raise BadInput(f"{place}: {name} is the agent's; choose another name")


def _named(place: str, name: str) -> None:
    try:
        service_name(name)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error


def _once(place: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInput(f"{place}: {name[:80]} stands twice")
        seen.add(name)
