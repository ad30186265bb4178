"""What a Greengrass recipe (2020-01-25) says for one vehicle: its manifest, its steps, its variables filled in.

    Manifests[first whose Platform fits].Lifecycle, else Lifecycle by Selections  ->  Step by name
    {configuration:/pointer} {artifacts:path} {kernel:rootPath} {iot:thingName} {work:path}  ->  values

Rule 1: keys are read in any case, as the nucleus does.
Rule 2: a variable that has no value is refused; what only looks like one (as ${NAME}) is the shell's.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fairway.errors import BadInput
from fairway.services.foreign import Notes, folded, is_yes, table, text

STEPS = ("bootstrap", "install", "run", "startup", "shutdown", "recover")
# Seconds that a step may take where the recipe does not say.
TIMEOUTS_S = {
    "bootstrap": 120.0,
    "install": 120.0,
    "startup": 120.0,
    "shutdown": 15.0,
    "recover": 60.0,
}
TIMEOUT_MAX_S = 86_400.0
_ANY = frozenset({"*", "all", "any"})
_VARIABLE = re.compile(r"(?<!\$)\{([A-Za-z0-9_.-]+):([^{}\s]*)\}")
_OWN = ("artifacts", "configuration", "kernel", "iot", "work")
_THING = re.compile(r"[A-Za-z0-9:_-]{0,128}")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+-]*")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
WORK = "${FAIRWAY_DATA}"  # where the agent keeps a service's data: the shell puts it in


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What a recipe is read for."""

    os: str = "linux"
    architecture: str = "amd64"
    attributes: tuple[tuple[str, str], ...] = ()  # others that a Platform may ask for
    root: str = "/greengrass/v2"  # {kernel:rootPath}; artifacts lie below it
    thing: str = ""  # {iot:thingName}
    configuration: dict[str, Any] = field(default_factory=dict)  # over the recipe's default

    def __post_init__(self) -> None:
        if not _PLAIN_PATH.fullmatch(self.root):
            raise BadInput(f"the root folder {self.root[:80]!r} is no plain absolute path")
        if not _THING.fullmatch(self.thing):
            raise BadInput(f"{self.thing[:80]!r} is no name of a thing")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a component's life."""

    script: str
    environment: tuple[tuple[str, str], ...] = ()
    skip_if: str = ""
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """A component as it is for one vehicle."""

    name: str
    version: str
    steps: dict[str, Step]
    dependencies: tuple[tuple[str, str, bool], ...]  # name, wanted versions, whether it must run
    artifacts: tuple[str, ...]


def component_of(said: dict[str, Any], vehicle: Vehicle, place: str, notes: Notes) -> Component:
    """Return what a recipe, with its keys in small letters, says for a vehicle.  Raises BadInput."""
    name, version = (_named(said, key, place) for key in ("componentname", "componentversion"))
    dependencies = tuple(_dependencies(said, place))
    manifest = _manifest(said, vehicle, place)
    configuration = _configuration(said, vehicle, place, notes)
    values = _Values(
        name, version, vehicle, configuration, frozenset(one for one, _, _ in dependencies), place
    )
    return Component(
        name,
        version,
        _steps(_lifecycle(said, manifest, place), values, place, notes),
        dependencies,
        tuple(_artifacts(manifest, place)),
    )


def _named(said: dict[str, Any], key: str, place: str) -> str:
    value = text(said.get(key), f"{place}: {key}")
    if not _NAME.fullmatch(value):
        raise BadInput(f"{place}: {key} is {value[:80]!r}: use letters, digits, . - and _")
    return value


def _dependencies(said: dict[str, Any], place: str) -> Iterable[tuple[str, str, bool]]:
    place = f"{place}: ComponentDependencies"
    for name, inner in table(said.get("componentdependencies"), place).items():
        fields = folded(inner, f"{place}.{name}")
        kind = text(fields.get("dependencytype", "HARD"), f"{place}.{name}").upper()
        if kind not in ("HARD", "SOFT"):
            raise BadInput(f"{place}.{name}: DependencyType is {kind[:40]!r}; it is HARD or SOFT")
        yield name, text(fields.get("versionrequirement", "*"), f"{place}.{name}"), kind == "HARD"


def _manifest(said: dict[str, Any], vehicle: Vehicle, place: str) -> dict[str, Any]:
    """Return the first manifest that fits the vehicle."""
    listed = said.get("manifests")
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise BadInput(f"{place}: Manifests is no list")
    for number, one in enumerate(listed):
        manifest = folded(one, f"{place}: Manifests[{number}]")
        wanted = folded(manifest.get("platform"), f"{place}: Manifests[{number}].Platform")
        if all(_fits(key, str(value), vehicle) for key, value in wanted.items()):
            return manifest
    raise BadInput(f"{place}: none of its manifests is for {vehicle.os} on {vehicle.architecture}")


def _fits(key: str, wanted: str, vehicle: Vehicle) -> bool:
    has = {"os": vehicle.os, "architecture": vehicle.architecture, **dict(vehicle.attributes)}
    if wanted.lower() in _ANY:
        return True
    if key not in has:
        return False
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        return has[key] in wanted[1:-1].split("|")  # alternatives are all that recipes use of it
    return has[key] == wanted


def _configuration(
    said: dict[str, Any], vehicle: Vehicle, place: str, notes: Notes
) -> dict[str, Any]:
    outer = folded(said.get("componentconfiguration"), f"{place}: ComponentConfiguration")
    usual = table(outer.get("defaultconfiguration"), f"{place}: DefaultConfiguration")
    if any(key.lower() == "accesscontrol" for key in usual):
        what = (
            "is not taken over: the service may do what its own manifest says, and nothing over IPC"
        )
        notes.warn(f"{place}: DefaultConfiguration.accessControl", what)
    return _merged(usual, vehicle.configuration)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, value) if both and isinstance(below, dict) else value
    return merged


def _lifecycle(said: dict[str, Any], manifest: dict[str, Any], place: str) -> dict[str, Any]:
    own = folded(manifest.get("lifecycle"), f"{place}: Lifecycle")
    if own:
        return own
    selections = manifest.get("selections")
    chosen = [str(one).lower() for one in selections] if isinstance(selections, list) else []
    outer = folded(said.get("lifecycle"), f"{place}: Lifecycle")
    return {
        key: _selected(value, [*chosen, "all"], f"{place}: {key}") for key, value in outer.items()
    }


def _selected(value: Any, selections: list[str], place: str) -> Any:
    """Return the part of a step of the global lifecycle that is selected; all of it without such parts."""
    if not isinstance(value, dict):
        return value
    parts = folded(value, place)
    if parts.keys() & {"script", "requiresprivilege", "setenv", "skipif", "timeout"}:
        return value
    return next((parts[one] for one in selections if one in parts), None)


def _steps(
    lifecycle: dict[str, Any], values: "_Values", place: str, notes: Notes
) -> dict[str, Step]:
    _no_privilege(lifecycle, f"{place}: Lifecycle")
    common = _environment(lifecycle.get("setenv"), values, f"{place}: Lifecycle.Setenv")
    for key in sorted(lifecycle.keys() - {*STEPS, "setenv", "requiresprivilege"}):
        notes.warn(f"{place}: Lifecycle.{key}", "is no step that is known here")
    found = {}
    for name in STEPS:
        step = _step(lifecycle.get(name), common, values, f"{place}: Lifecycle.{name}")
        if step is not None:
            found[name] = step
    return found


def _step(said: Any, common: dict[str, str], values: "_Values", place: str) -> Step | None:
    if said is None or said == "":
        return None
    fields = folded(said, place) if isinstance(said, dict) else {"script": said}
    _no_privilege(fields, place)
    script = text(fields.get("script", ""), f"{place}.Script")
    if not script:
        return None
    return Step(
        values.filled(script),
        tuple({**common, **_environment(fields.get("setenv"), values, place)}.items()),
        values.filled(text(fields.get("skipif", ""), f"{place}.Skipif")),
        _timeout(fields.get("timeout"), f"{place}.Timeout"),
    )


def _no_privilege(fields: dict[str, Any], place: str) -> None:
    if is_yes(fields.get("requiresprivilege")):
        raise BadInput(
            f"{place}: RequiresPrivilege would run it as root: services have a user of their own here"
        )


def _environment(said: Any, values: "_Values", place: str) -> dict[str, str]:
    return {name: values.filled(text(value, place)) for name, value in table(said, place).items()}


def _timeout(said: Any, place: str) -> float | None:
    if said is None:
        return None
    try:
        seconds = float(text(said, place))
    except ValueError as error:
        raise BadInput(f"{place}: {said!r:.40} are no seconds") from error
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise BadInput(f"{place}: {seconds:g} s is no time that a step takes")
    return seconds


def _artifacts(manifest: dict[str, Any], place: str) -> Iterable[str]:
    listed = manifest.get("artifacts")
    for number, one in enumerate(listed if isinstance(listed, list) else []):
        fields = folded(one, f"{place}: Artifacts[{number}]")
        yield text(fields.get("uri", ""), f"{place}: Artifacts[{number}].URI")


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of variables."""

    name: str
    version: str
    vehicle: Vehicle
    configuration: dict[str, Any]
    dependencies: frozenset[str]
    place: str

    def filled(self, said: str) -> str:
        """Return a text with its variables filled in.  Raises BadInput."""
        return _VARIABLE.sub(self._value, said)

    def _value(self, match: re.Match[str]) -> str:
        space, key = match[1], match[2]
        if space in self.dependencies:
            raise BadInput(f"{self.place}: {match[0]} is of another component: write its path out")
        if space not in _OWN:
            return match[0]
        if space == "configuration":
            return self._configured(key, match[0])
        packages = f"{self.vehicle.root}/packages"
        known = {
            "artifacts:path": f"{packages}/artifacts/{self.name}/{self.version}",
            "artifacts:decompressedPath": f"{packages}/artifacts-unarchived/{self.name}/{self.version}",
            "kernel:rootPath": self.vehicle.root,
            "iot:thingName": self.vehicle.thing,
            "work:path": WORK,
        }
        value = known.get(f"{space}:{key}", "")
        if not value:
            raise BadInput(f"{self.place}: {match[0]} has no value here")
        return value

    def _configured(self, pointer: str, whole: str) -> str:
        """Return what a JSON pointer (RFC 6901) finds: a text as it is, all else as JSON."""
        inner: Any = self.configuration
        for part in pointer.removeprefix("/").split("/") if pointer.strip("/") else []:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(inner, dict) and key in inner:
                inner = inner[key]
            elif isinstance(inner, list) and key.isdigit() and int(key) < len(inner):
                inner = inner[int(key)]
            else:
                raise BadInput(f"{self.place}: {whole} is not in its configuration")
        return inner if isinstance(inner, str) else json.dumps(inner)
