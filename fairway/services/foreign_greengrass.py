"""Recipes of AWS IoT Greengrass: a component becomes processes, one for what it does, one for each step before.

    bootstrap  ->  <name>-bootstrap, which must succeed before
    install    ->  <name>-install,   which must succeed before
    run        ->  <name>            a script of the shell that ends when its work is done
    startup, shutdown  ->  <name>    a process that runs the one, waits to be stopped, and runs the other

Rule 1: a process is not isolated: the agent's settings must allow each of them by name.
Rule 2: nothing runs as root: what requires it is refused.
Rule 3: the component's name is its last step's: others wait for it.
Rule 4: {work:path} is a folder of one service: a step before that works there runs in the service itself, once
        for each version.
"""

import re
import shlex

from fairway.errors import BadInput
from fairway.services.foreign import Imported, Notes, folded, kept, named, tree_of
from fairway.services.foreign_recipe import TIMEOUTS_S, WORK, Component, Step, Vehicle, component_of
from fairway.services.model import Condition, Data, Restart, Runner, Service

FORMAT = "2020-01-25"
_SHELL = "/bin/sh"
_KEYS = frozenset(
    (
        "recipeformatversion",
        "componentname",
        "componentversion",
        "componentdescription",
        "componentpublisher",
        "componenttype",
        "componentconfiguration",
        "componentdependencies",
        "manifests",
        "lifecycle",
    )
)
_GENERIC = "aws.greengrass.generic"
# What Greengrass itself brings: nothing here waits for it.
_PARTS = "aws.greengrass."
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# $1 the script that works, $2 the one for the end, which runs however the first ended.
_RUN = """\
trap 'stopped=1' TERM INT
/bin/sh -c "$1" & child=$!
wait "$child"; code=$?
if [ -n "$stopped" ]; then code=0; fi
/bin/sh -c "$2"
exit "$code"
"""
# $1 starts, $2 ends; between them there may be nothing of its own that runs.
_STARTUP = """\
trap '/bin/sh -c "$2"; exit 0' TERM INT
/bin/sh -c "$1" || exit $?
while :; do sleep 3600 & wait "$!"; done
"""


def services_of(
    recipe: str, vehicle: Vehicle | None = None, *, file: str = "the recipe"
) -> Imported:
    """Return the services that a component is in a vehicle, in the order in which they start.

    Raises BadInput for what is no recipe, has nothing to run there, or would be unsafe.
    """
    said = folded(tree_of(recipe, file), file)
    if said.get("recipeformatversion") != FORMAT:
        raise BadInput(
            f"{file}: RecipeFormatVersion is {said.get('recipeformatversion')!r:.40}, not {FORMAT}"
        )
    kind = str(said.get("componenttype", _GENERIC))
    if kind.lower() != _GENERIC:
        raise BadInput(
            f"{file}: its ComponentType is {kind[:80]}: only {_GENERIC} becomes services"
        )
    notes = Notes()
    for key in sorted(said.keys() - _KEYS):
        notes.warn(f"{file}: {key}", "is not known here and is left out")
    component = component_of(said, vehicle or Vehicle(), file, notes)
    made = tuple(kept(service, file) for service in _services(component, file, notes))
    return Imported(made, notes.said)


def _services(component: Component, file: str, notes: Notes) -> tuple[Service, ...]:
    steps = component.steps
    name = named(component.name, f"{file}: ComponentName", notes)
    waits = _waits(component, file, notes)
    if "run" in steps and "startup" in steps:
        raise BadInput(f"{file}: it has both run and startup: leave one of them out")
    does = [step for step in ("bootstrap", "install", "run", "startup") if step in steps]
    if not does:
        raise BadInput(
            f"{file}: it has neither run nor startup nor install: there is nothing to run"
        )
    _tell(component, file, notes)
    before, last = does[:-1], does[-1]
    if any(_works(steps[step]) for step in before):
        notes.warn(
            file, f"{' and '.join(before)} run in {name} itself, once: they share its {{work:path}}"
        )
        return (_service(name, last, component, waits, tuple(before)),)
    made: list[Service] = []
    for step in does:
        own = name if step == last else named(f"{name}-{step}", f"{file}: {step}", Notes())
        after = ((made[-1].name, Condition.SUCCEEDED),) if made else ()
        made.append(_service(own, step, component, (*waits, *after)))
    return tuple(made)


def _works(step: Step) -> bool:
    """Whether a step uses the folder that a component works in."""
    return WORK in step.script or any(WORK in value for _, value in step.environment)


def _service(
    name: str,
    step: str,
    component: Component,
    waits: tuple[tuple[str, Condition], ...],
    before: tuple[str, ...] = (),
) -> Service:
    end = component.steps.get("shutdown")
    is_work = step in ("run", "startup")
    return Service(
        name=name,
        version=component.version,
        command=_command(name, step, component, before),
        environment=_environment(component, step),
        runner=Runner.PROCESS,
        restart=Restart.ON_FAILURE if is_work else Restart.NEVER,
        stop_grace_s=_seconds("shutdown", end)
        if end and is_work
        else Service("x", "1").stop_grace_s,
        depends_on=waits,
        data=(Data(f"/var/lib/{name}"),),
        tags=(("greengrass.component", component.name), ("greengrass.step", step)),
    )


def _command(
    name: str, step: str, component: Component, before: tuple[str, ...]
) -> tuple[str, ...]:
    script = "\n".join(
        (*(_once(one, component) for one in before), _script(step, component.steps[step]))
    )
    end = component.steps.get("shutdown")
    if step == "startup":
        return (_SHELL, "-c", _STARTUP, name, script, _script("shutdown", end) if end else ":")
    if step == "run" and end:
        return (_SHELL, "-c", _RUN, name, script, _script("shutdown", end))
    return (_SHELL, "-c", script)


def _script(name: str, step: Step) -> str:
    """Return the script of a step with all that holds around it."""
    lines = [f'export {key}="{_quoted(value)}"' for key, value in step.environment if WORK in value]
    if step.skip_if:
        lines.append(_skipped(step.skip_if))
    if name in ("bootstrap", "install", "startup"):
        # Ends with the script, for what a service leaves running is ended with it.
        lines.append(f"(sleep {_seconds(name, step):g}; kill -TERM $$) >/dev/null 2>&1 & watch=$!")
        lines.append("trap 'kill \"$watch\" 2>/dev/null' EXIT")
    return "\n".join((*lines, step.script))


def _once(name: str, component: Component) -> str:
    """Return what runs a step unless it has succeeded for this version before."""
    done = f'"{WORK}/.{name}-{component.version}"'
    script = shlex.quote(_script(name, component.steps[name]))
    return f"[ -e {done} ] || {{ {_SHELL} -c {script} && : > {done}; }} || exit $?"


def _quoted(value: str) -> str:
    """Return a value for double quotes in which the working folder alone is the shell's to fill in."""
    parts = (re.sub(r'([\\"$`])', r"\\\1", part) for part in value.split(WORK))
    return WORK.join(parts)


def _skipped(condition: str) -> str:
    word, _, rest = condition.strip().partition(" ")
    what = shlex.quote(rest.strip())
    if word == "onpath" and rest.strip():
        return f"command -v {what} >/dev/null 2>&1 && exit 0"
    if word == "exists" and rest.strip():
        return f"[ -e {what} ] && exit 0"
    raise BadInput(f"Skipif says {condition[:80]!r}; onpath NAME and exists PATH are known")


def _seconds(name: str, step: Step) -> float:
    return TIMEOUTS_S[name] if step.timeout_s is None else step.timeout_s


def _environment(component: Component, step: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name in ("shutdown", step):
        if name in component.steps:
            found.update(component.steps[name].environment)
    for name in found:
        if not _VARIABLE_NAME.fullmatch(name):
            raise BadInput(f"Setenv names {name[:80]!r}, which is no name of a variable")
    return tuple((name, value) for name, value in found.items() if WORK not in value)


def _waits(component: Component, file: str, notes: Notes) -> tuple[tuple[str, Condition], ...]:
    found: list[tuple[str, Condition]] = []
    for name, versions, must_run in component.dependencies:
        place = f"{file}: ComponentDependencies.{name}"
        if name == component.name:
            raise BadInput(f"{place}: it depends on itself")
        if name.startswith(_PARTS):
            notes.warn(place, "is a part of Greengrass, which does not run here")
        elif must_run:
            found.append((named(name, place, notes), Condition.RUNNING))
            if versions != "*":
                notes.warn(place, f"that its version is {versions} is not checked")
        else:
            notes.warn(place, "is SOFT: it is not waited for")
    return tuple(found)


def _tell(component: Component, file: str, notes: Notes) -> None:
    """Note what of the steps is not as it was."""
    folder = f"packages/artifacts/{component.name}/{component.version}"
    for uri in component.artifacts:
        notes.warn(
            f"{file}: Artifacts", f"put {uri} into the folder {folder} below the root folder"
        )
    if "recover" in component.steps:
        notes.warn(
            f"{file}: Lifecycle.recover", "is not run: a service that failed is started anew"
        )
    if "bootstrap" in component.steps:
        what = "asks for no restart here: 100 and 101 are failures as any other"
        notes.warn(f"{file}: Lifecycle.bootstrap", what)
    run = component.steps.get("run")
    if run and run.timeout_s is not None:
        notes.warn(
            f"{file}: Lifecycle.run.Timeout", "is left out: a service runs as long as it runs"
        )
    if "shutdown" in component.steps and not {"run", "startup"} & component.steps.keys():
        notes.warn(f"{file}: Lifecycle.shutdown", "is left out: nothing runs that it could end")
