"""Options of `podman run` as Ankaios manifests have them, and what they become of a service.

    ["-e", "A=1", "--net=host", "-v", "store:/var/lib/x"]  ->  environment, network, data

Rule 1: what would open the vehicle (rights, devices, its files, its name spaces) is refused.
Rule 2: what holds here anyway is left out without a word; what has no counterpart is a warning.
Rule 3: an option that is not known is a warning, and the word behind it is taken for its value unless it
        begins with a dash.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fairway.errors import BadInput
from fairway.services.foreign import Notes
from fairway.services.model import Data, Network, Resources

# Short options that take a value, and what they are short for.
_SHORT = {
    "-e": "--env",
    "-v": "--volume",
    "-p": "--publish",
    "-m": "--memory",
    "-u": "--user",
    "-w": "--workdir",
    "-h": "--hostname",
    "-l": "--label",
    "-c": "--cpu-shares",
}
_HOLDS = frozenset(
    {"--rm", "--detach", "-d", "--read-only", "--init", "--tty", "-t", "-i", "--interactive", "-it"}
)
_HOLDS_WITH_VALUE = frozenset(
    {"--cap-drop", "--name", "--hostname", "--pull", "--cgroups", "--log-driver"}
)
_UNSAFE = {
    "--privileged": "it would have all rights over the vehicle",
    "--cap-add": "a service has no capabilities",
    "--device": "a service has no devices of the vehicle",
    "--gpus": "a service has no devices of the vehicle",
    "--device-cgroup-rule": "a service has no devices of the vehicle",
    "--pid": "it would see other processes",
    "--ipc": "it would share memory with others",
    "--uts": "it would share the vehicle's name",
    "--userns": "its user is given by the agent",
    "--cgroupns": "its control group is given by the agent",
    "--cgroup-parent": "its control group is given by the agent",
    "--volumes-from": "a service has no files of another",
    "--security-opt": "its walls are given by the agent",
    "--rootfs": "it would run from the vehicle's files",
    "--sysctl": "it would set the kernel",
}
_SAFE_SECURITY = frozenset(
    {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}
)
_OWN_NAMESPACE = frozenset({"private", "none"})
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NUMBER_MAX_CHARS = 18
_N = TypeVar("_N", int, float)


@dataclass(frozen=True, slots=True)
class Options:
    """What options say of a service."""

    environment: tuple[tuple[str, str], ...] = ()
    network: Network = Network.NONE
    says_network: bool = False
    data: tuple[Data, ...] = ()
    resources: Resources = field(default_factory=Resources)
    entry_point: tuple[str, ...] | None = None
    stop_signal: str = "TERM"
    stop_grace_s: float | None = None


def options_of(words: tuple[str, ...], place: str, notes: Notes) -> Options:
    """Return what command options say.  Raises BadInput for what would be unsafe, or is none."""
    said = Options()
    for name, value in _pairs(words, place):
        where = f"{place}: {name}"
        taken = _TAKEN.get(name)
        if name in _UNSAFE:
            _refuse(name, value, where)
        elif taken is not None:
            said = taken(said, value, where, notes)
        elif name not in _HOLDS_WITH_VALUE:
            notes.warn(where, "has no counterpart here and is left out")
    return said


def _pairs(words: tuple[str, ...], place: str) -> Iterator[tuple[str, str]]:
    """Yield each option with its value."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            raise BadInput(f"{place}: {word[:80]!r} stands where an option is expected")
        name, has_value, value = word.partition("=")
        if len(name) > 2 and not name.startswith("--") and name[:2] in _SHORT:  # -eA=1
            name, has_value, value = name[:2], "=", word[2:]
        name = _SHORT.get(name, name)
        if name in _HOLDS or (name == "--privileged" and has_value and value == "false"):
            continue
        if not has_value and name != "--privileged":
            if rest and (name in _TAKEN or name in _UNSAFE or not rest[0].startswith("-")):
                value = rest.pop(0)
            elif name in _TAKEN:
                raise BadInput(f"{place}: {name} has no value")
        yield name, value


def _refuse(name: str, value: str, where: str) -> None:
    if name == "--security-opt" and value in _SAFE_SECURITY:
        return
    if name in ("--pid", "--ipc", "--uts", "--cgroupns") and value in _OWN_NAMESPACE:
        return
    raise BadInput(f"{where}: would be unsafe: {_UNSAFE[name]}; leave it out")


def _env(said: Options, value: str, where: str, notes: Notes) -> Options:
    name, is_set, text = value.partition("=")
    if not is_set:
        notes.warn(
            where, f"{name} would come from the vehicle's environment, which it does not see"
        )
        return said
    others = tuple(pair for pair in said.environment if pair[0] != name)
    return replace(said, environment=(*others, (name, text)))


def _net(said: Options, value: str, where: str, notes: Notes) -> Options:
    said = replace(said, says_network=True)
    if value == "host":
        notes.warn(where, "host must be allowed for this service by the agent's settings")
        return replace(said, network=Network.HOST)
    if value != "none":
        notes.warn(where, f"{value} is not known here: it reaches its sockets and its own loopback")
    return replace(said, network=Network.NONE)


def _volume(said: Options, value: str, where: str, notes: Notes) -> Options:
    source, _, rest = value.partition(":")
    inside = rest.partition(":")[0]
    if not inside:  # an anonymous volume
        source, inside = "", source
    return _with_data(said, source, inside, where, notes)


def _mount(said: Options, value: str, where: str, notes: Notes) -> Options:
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    source = fields.get("source", fields.get("src", ""))
    inside = next((fields[key] for key in ("target", "destination", "dst") if key in fields), "")
    kind = fields.get("type", "bind")
    if kind == "tmpfs":
        return _tmpfs(said, inside, where, notes)
    if kind != "volume":
        raise BadInput(f"{where}: {kind} would show it the vehicle's files: use a volume")
    return _with_data(said, source, inside, where, notes)


def _with_data(said: Options, source: str, inside: str, where: str, notes: Notes) -> Options:
    if source.startswith((".", "/", "~")):
        raise BadInput(f"{where}: {source[:80]} is of the vehicle's files: use a named volume")
    if not inside.startswith("/"):
        raise BadInput(f"{where}: {inside[:80]!r} is no absolute path")
    if source:
        notes.warn(
            where, f"the volume {source} becomes a folder of this service alone, at first empty"
        )
    return replace(said, data=(*said.data, Data(inside.rstrip("/") or "/")))


def _tmpfs(said: Options, value: str, where: str, notes: Notes) -> Options:
    if value.partition(":")[0].rstrip("/") != "/tmp":  # noqa: S108 - the service's own
        notes.warn(
            where, "only /tmp is memory here; it has no other folder to write to but its data"
        )
    return said


def _memory(said: Options, value: str, where: str, notes: Notes) -> Options:
    del notes
    unit = value[-1:].lower()
    digits = value[:-1] if unit in _UNITS else value
    most = _number(digits, int, where) * _UNITS.get(unit, 1)
    return replace(said, resources=replace(said.resources, memory_max_bytes=most))


def _cpus(said: Options, value: str, where: str, notes: Notes) -> Options:
    del notes
    return replace(said, resources=replace(said.resources, cpu_max=_number(value, float, where)))


def _pids(said: Options, value: str, where: str, notes: Notes) -> Options:
    del notes
    return replace(said, resources=replace(said.resources, pids_max=_number(value, int, where)))


def _ulimit(said: Options, value: str, where: str, notes: Notes) -> Options:
    name, _, most = value.partition("=")
    if name != "nofile":
        notes.warn(where, f"{name} has no counterpart here and is left out")
        return said
    files = _number(most.partition(":")[0], int, where)
    return replace(said, resources=replace(said.resources, files_max=files))


def _entry_point(said: Options, value: str, where: str, notes: Notes) -> Options:
    del where, notes
    return replace(said, entry_point=(value,) if value else ())


def _stop_signal(said: Options, value: str, where: str, notes: Notes) -> Options:
    del where, notes
    return replace(said, stop_signal=value.upper().removeprefix("SIG"))


def _stop_timeout(said: Options, value: str, where: str, notes: Notes) -> Options:
    del notes
    return replace(said, stop_grace_s=_number(value, float, where))


def _number(value: str, kind: type[_N], where: str) -> _N:
    try:
        number = kind(value[:_NUMBER_MAX_CHARS])
    except ValueError as error:
        raise BadInput(f"{where}: {value[:80]!r} is no number") from error
    if len(value) > _NUMBER_MAX_CHARS or not 0 < number < 1 << 50:
        raise BadInput(f"{where}: {value[:80]} is no limit")
    return number


_TAKEN: dict[str, Callable[[Options, str, str, Notes], Options]] = {
    "--env": _env,
    "--net": _net,
    "--network": _net,
    "--volume": _volume,
    "--mount": _mount,
    "--tmpfs": _tmpfs,
    "--memory": _memory,
    "--cpus": _cpus,
    "--pids-limit": _pids,
    "--ulimit": _ulimit,
    "--entrypoint": _entry_point,
    "--stop-signal": _stop_signal,
    "--stop-timeout": _stop_timeout,
}
