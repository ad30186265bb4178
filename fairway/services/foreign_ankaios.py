"""Manifests of Eclipse Ankaios: each workload of a container runtime becomes a service.

    workloads.<name>: restartPolicy, dependencies, tags  ->  the same words
        runtimeConfig (YAML in a text): image, commandOptions, commandArgs  ->  image by digest, command, ...
        configs, {{alias.key}} in runtimeConfig  ->  filled in
        controlInterfaceAccess, files  ->  a warning

Rule 1: apiVersion v1 and v0.1 are read; other versions are refused.
Rule 2: an image is found by its name once, here; what runs is named by its digest.
"""

import re
from typing import Any

from fairway.errors import BadInput
from fairway.services.foreign import (
    FindImage,
    Image,
    Imported,
    Notes,
    kept,
    named,
    table,
    text,
    texts,
    tree_of,
)
from fairway.services.foreign_podman import Options, options_of
from fairway.services.model import Condition, Restart, Service

_VERSIONS = ("v1", "v0.1")
_RUNTIMES = ("podman", "containerd", "docker")
_WORKLOAD_KEYS = frozenset(
    (
        "agent",
        "configs",
        "controlInterfaceAccess",
        "dependencies",
        "files",
        "restartPolicy",
        "runtime",
        "runtimeConfig",
        "tags",
    )
)
_RUNTIME_KEYS = frozenset(("image", "commandOptions", "commandArgs", "generalOptions"))
_PLACEHOLDER = re.compile(r"\{\{\{?\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*\}?\}\}")
_TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
_GRACE_S = 10.0  # podman's, before it kills


def services_of(
    manifest: str, *, find: FindImage, file: str = "the manifest", agent: str = ""
) -> Imported:
    """Return the services of a manifest: all, or those of one Ankaios agent.

    Raises BadInput for what is none, for images that `find` does not know, and for what would be unsafe.
    """
    said = table(tree_of(manifest, file), file)
    version = said.get("apiVersion")
    if version not in _VERSIONS:
        raise BadInput(f"{file}: apiVersion is {version!r:.40}; {' and '.join(_VERSIONS)} are read")
    notes = Notes()
    for key in said.keys() - {"apiVersion", "workloads", "configs"}:
        notes.warn(f"{file}: {key}", "is not known here and is left out")
    configs = table(said.get("configs"), f"{file}: configs")
    made: list[Service] = []
    for name, inner in table(said.get("workloads"), f"{file}: workloads").items():
        place = f"{file}: workloads.{name}"
        workload = table(inner, place)
        if agent and workload.get("agent") != agent:
            continue
        made.append(kept(_service(name, workload, configs, find, place, notes), place))
    _differ(made, file)
    if not made:
        notes.warn(file, "it has no workloads" + (f" for the agent {agent}" if agent else ""))
    return Imported(tuple(made), notes.said)


def _service(
    foreign: str,
    workload: dict[str, Any],
    configs: dict[str, Any],
    find: FindImage,
    place: str,
    notes: Notes,
) -> Service:
    for key in sorted(workload.keys() - _WORKLOAD_KEYS):
        notes.warn(f"{place}.{key}", "is not known here and is left out")
    _not_taken(workload, place, notes)
    runtime = _runtime(workload, configs, place)
    at = f"{place}.runtimeConfig"
    for key in sorted(runtime.keys() - _RUNTIME_KEYS):
        notes.warn(f"{at}.{key}", "is not known here and is left out")
    if runtime.get("generalOptions"):
        notes.warn(f"{at}.generalOptions", "are of another runtime and are left out")
    image_name = text(runtime.get("image"), f"{at}.image")
    image = find(image_name)
    options = options_of(
        texts(runtime.get("commandOptions"), f"{at}.commandOptions"), f"{at}.commandOptions", notes
    )
    if not options.says_network:
        notes.warn(
            at, "without --net a workload has a network there; here it reaches its sockets alone"
        )
    return Service(
        name=named(foreign, place, notes),
        version=_version(image_name, image),
        image=image.digest,
        command=_command(runtime, options, image, at),
        environment=options.environment,
        resources=options.resources,
        restart=_restart(workload, place),
        stop_signal=options.stop_signal,
        stop_grace_s=_GRACE_S if options.stop_grace_s is None else options.stop_grace_s,
        depends_on=_dependencies(workload, place, notes),
        network=options.network,
        data=options.data,
        tags=_tags(workload.get("tags"), f"{place}.tags"),
    )


def _not_taken(workload: dict[str, Any], place: str, notes: Notes) -> None:
    if workload.get("controlInterfaceAccess"):
        what = "is not taken over: a service does not change other services here"
        notes.warn(f"{place}.controlInterfaceAccess", what)
    if workload.get("files"):
        what = "are not taken over: put them into the image, or into the service's data"
        notes.warn(f"{place}.files", what)


def _runtime(workload: dict[str, Any], configs: dict[str, Any], place: str) -> dict[str, Any]:
    runtime = workload.get("runtime")
    if runtime not in _RUNTIMES:
        raise BadInput(
            f"{place}.runtime: is {runtime!r:.40}; workloads of {', '.join(_RUNTIMES)} become services"
        )
    said = text(workload.get("runtimeConfig", ""), f"{place}.runtimeConfig")
    filled = _filled(said, _aliases(workload, configs, place), f"{place}.runtimeConfig")
    return table(tree_of(filled, f"{place}.runtimeConfig"), f"{place}.runtimeConfig")


def _aliases(workload: dict[str, Any], configs: dict[str, Any], place: str) -> dict[str, Any]:
    """Return the configuration that a workload knows by each alias."""
    found = {}
    for alias, name in table(workload.get("configs"), f"{place}.configs").items():
        if name not in configs:
            raise BadInput(f"{place}.configs.{alias}: there is no configuration {name!r:.80}")
        found[alias] = configs[str(name)]
    return found


def _filled(said: str, aliases: dict[str, Any], place: str) -> str:
    def value(match: re.Match[str]) -> str:
        inner: Any = aliases
        for key in match[1].split("."):
            if not isinstance(inner, dict) or key not in inner:
                raise BadInput(f"{place}: {{{{{match[1]}}}}} is in none of its configs")
            inner = inner[key]
        return text(inner, f"{place}: {{{{{match[1]}}}}}")

    filled = _PLACEHOLDER.sub(value, said)
    if "{{" in filled:
        raise BadInput(f"{place}: only {{{{alias.key}}}} is filled in; write out what it says else")
    return filled


def _command(
    runtime: dict[str, Any], options: Options, image: Image, place: str
) -> tuple[str, ...]:
    arguments = texts(runtime.get("commandArgs"), f"{place}.commandArgs")
    if options.entry_point is not None:
        return (*options.entry_point, *arguments)
    return (*image.entry_point, *arguments) if arguments else ()


def _restart(workload: dict[str, Any], place: str) -> Restart:
    said = workload.get("restartPolicy", "NEVER")
    try:
        return Restart(said)
    except ValueError as error:
        raise BadInput(
            f"{place}.restartPolicy: {said!r:.40} is none of {', '.join(Restart)}"
        ) from error


def _dependencies(
    workload: dict[str, Any], place: str, notes: Notes
) -> tuple[tuple[str, Condition], ...]:
    place = f"{place}.dependencies"
    found = []
    for name, said in table(workload.get("dependencies"), place).items():
        try:
            condition = Condition(said)
        except ValueError as error:
            raise BadInput(f"{place}.{name}: {said!r:.40} is no condition") from error
        found.append((named(name, f"{place}.{name}", notes), condition))
    return tuple(found)


def _tags(said: Any, place: str) -> tuple[tuple[str, str], ...]:
    """Return tags, a table in v1 and a list of key and value before."""
    if isinstance(said, list):
        rows = [table(row, f"{place}[{number}]") for number, row in enumerate(said)]
        said = {text(row.get("key"), f"{place}: key"): row.get("value") for row in rows}
    return tuple((key, text(value, f"{place}.{key}")) for key, value in table(said, place).items())


def _version(name: str, image: Image) -> str:
    """Return the tag of an image where it says something, else the beginning of its digest."""
    tag = name.partition("@")[0].rpartition("/")[2].partition(":")[2]
    if tag and tag != "latest" and _TAG.fullmatch(tag) and len(tag) <= 64:
        return tag
    return image.digest.partition(":")[2][:12]


def _differ(made: list[Service], file: str) -> None:
    names = [service.name for service in made]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{file}: two workloads are called {name} here: rename one")
