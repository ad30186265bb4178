"""Runs services through the Docker Engine API: the socket of podman or of dockerd.

    Instance > image, where the engine lacks it > create > start > log pump, memory watch
    events > look at our containers > what ended

Rule 1: our containers carry our label; those of others, and of other agents, are never touched.
Rule 2: an engine says what it can limit (GET /info); nothing is promised beyond that.
Rule 3: how a container ended is told when all that it printed has been taken, not before.
"""

import asyncio
import contextlib
import json
import re
import signal as signals
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from edge_agent.adapters import cgroups
from edge_agent.adapters.engine_containers import Found, cgroup_of, found_of, is_running
from edge_agent.adapters.engine_execute import execute
from edge_agent.adapters.engine_http import Answer, EngineClient
from edge_agent.adapters.engine_logs import Pump
from edge_agent.adapters.memory_watch import MemoryWatch
from edge_agent.adapters.process_records import owned
from edge_agent.adapters.runtime_process import Outputs
from edge_agent.services.engine_spec import (
    AGENT_LABEL,
    INSTANCE_LABEL,
    Engine,
    body,
    container_name,
    image_name,
)
from edge_agent.services.instance import Instance
from edge_agent.services.runtime import Executed, Guarantees, Seen, Usage
from fairway import log
from fairway.errors import BadInput, Unavailable

_LOG = log.get("edge_agent.services")

_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# All that a container printed is there soon after its end, or is not waited for.
_PRINTED_WITHIN_S = 5.0
_KILLED_WITHIN_S = 20.0
_RECONNECT_MIN_S, _RECONNECT_MAX_S = 0.1, 5.0
# What engines say of a program that can never be run.
_NEVER = re.compile(
    r"no such file or directory|executable file .*not found|permission denied|exec format error"
    r"|is a directory|not a directory|invalid",
    re.IGNORECASE,
)


class Archives(Protocol):
    """Images as `docker save` writes them: the vehicle's images (edge_agent.adapters.images) do."""

    async def docker_archive(self, digest: str, to: Path, *, name: str = "") -> None:
        """Write an image called `name` to the file `to`.  Raises BadInput, Unavailable."""
        ...


@dataclass(slots=True)
class _Known:
    """A container as this agent sees it."""

    found: Found
    pump: Pump
    watch: MemoryWatch | None


class EngineRuntime:
    """Runs containers at one engine.  Of one event loop; make it with open()."""

    def __init__(
        self,
        client: EngineClient,
        engine: Engine,
        gives: Guarantees,
        archives: Archives,
        outputs: Outputs,
        folder: Path,
    ) -> None:
        self._client, self._engine, self._gives = client, engine, gives
        self._archives, self._outputs, self._folder = archives, outputs, folder
        self._groups = cgroups.look()
        self._label = f"{AGENT_LABEL}={engine.agent}"
        self._known: dict[str, _Known] = {}
        self._busy: set[str] = set()
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        socket: Path,
        *,
        agent: str,
        seccomp: Mapping[str, Any],
        archives: Archives,
        outputs: Outputs,
        folder: Path,
    ) -> "EngineRuntime":
        """Return the runtime of an agent at the engine that listens at `socket`.

        `seccomp` is the list of system calls (edge_agent.services.seccomp_profile), `folder` is for its
        own files.  Raises BadInput for a name of an agent that no label can have, Unavailable.
        """
        if not _AGENT.fullmatch(agent):
            raise BadInput(
                f"the agent is called {agent[:80]!r}: an engine's label takes no such name"
            )
        client = EngineClient(socket)
        version = _good(await client.ask("GET", "/version")).document
        info = _good(await client.ask("GET", "/info")).document
        profile = json.dumps(seccomp, sort_keys=True)
        place = _kept(folder, profile)
        parts = version.get("Components") or [] if isinstance(version, dict) else []
        is_podman = any("podman" in str(part.get("Name", "")).lower() for part in parts)
        engine = Engine(agent, is_podman, profile, str(place.absolute()))
        made = cls(client, engine, _guarantees(info), archives, outputs, folder)
        await made._look()
        made._watcher = asyncio.ensure_future(made._watch())
        return made

    @property
    def gives(self) -> Guarantees:
        return self._gives

    async def start(self, instance: Instance) -> None:
        await self._look()
        known = self._known.get(instance.id)
        if known is not None and known.found.exit is None:
            return
        wanted = body(instance, self._engine)
        self._busy.add(instance.id)
        try:
            await self._remove(instance.id)
            await self._start(instance, wanted)
        except (BadInput, Unavailable, asyncio.CancelledError):
            with contextlib.suppress(Unavailable):
                await asyncio.shield(self._remove(instance.id))
            raise
        finally:
            self._busy.discard(instance.id)

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        name = "SIG" + signal.upper().removeprefix("SIG")
        if name not in signals.Signals.__members__:
            raise BadInput(f"{signal[:40]!r} is no signal: use a name such as TERM or INT")
        self._busy.add(id_)
        try:
            await self._end(id_, name, grace_s)
            await self._remove(id_)
        finally:
            self._busy.discard(id_)

    async def instances(self) -> Mapping[str, Seen]:
        await self._look()
        return {
            id_: Seen(known.found.pid, known.found.started_ns, known.found.exit)
            for id_, known in self._known.items()
        }

    async def until_changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        return await execute(self._client, await self._running(id_), argv, timeout_s=timeout_s)

    async def usage(self, id_: str) -> Usage:
        found = await self._running(id_)
        return cgroups.usage(self._groups, cgroup_of(found.pid))

    async def collect(self, keep: frozenset[str]) -> None:
        """Remove our images from the engine, but those with these digests and those in use."""
        filters = json.dumps({"reference": ["localhost/fairway"]})
        listed = _good(await self._client.ask("GET", "/images/json", filters=filters)).document
        kept = {image_name(digest) for digest in keep}
        for image in listed or []:
            for name in image.get("RepoTags") or []:
                if name not in kept:
                    await self._client.ask("DELETE", f"/images/{quote(name, safe='')}")

    async def close(self) -> None:
        """Let go of all containers; they run on."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        for known in self._known.values():
            await known.pump.close()
            _unwatch(known)

    async def _start(self, instance: Instance, wanted: dict[str, Any]) -> None:
        try:
            for place, _ in instance.data:
                owned(place, instance.uid)
        except OSError as error:
            raise Unavailable(f"a folder of {instance.id} cannot be made: {error}") from error
        await self._ensure_image(instance)
        name = container_name(self._engine.agent, instance.id)
        _run(await self._client.ask("POST", "/containers/create", wanted, name=name), instance)
        _run(await self._client.ask("POST", f"/containers/{name}/start"), instance)
        await self._take(instance.id)

    async def _ensure_image(self, instance: Instance) -> None:
        digest = instance.root.digest if instance.root else ""
        name = image_name(digest)
        there = await self._client.ask("GET", f"/images/{quote(name, safe='')}/json")
        if there.is_good:
            return
        archive = self._folder / f"{instance.id}.tar"
        try:
            await self._archives.docker_archive(digest, archive, name=name)
            _good(await self._client.load(archive))
        finally:
            archive.unlink(missing_ok=True)

    async def _look(self) -> None:
        """Ask the engine for our containers, and take note of what is new."""
        async with self._looking:
            filters = json.dumps({"label": [self._label]})
            listed = _good(
                await self._client.ask("GET", "/containers/json", all="1", filters=filters)
            ).document
            states = {
                str(one["Labels"].get(INSTANCE_LABEL)): (str(one["Id"]), str(one["State"]))
                for one in listed or []
            }
            for id_ in set(self._known) - set(states) - self._busy:
                await self._forget(id_)
            for id_, (container, state) in states.items():
                if id_ not in self._busy:
                    await self._note(id_, container, state)

    async def _note(self, id_: str, container: str, state: str) -> None:
        known = self._known.get(id_)
        if known is None or known.found.container != container:
            known = await self._take(id_)
        if known is not None and known.found.exit is None and not is_running(state):
            await self._ended(id_, known)

    async def _take(self, id_: str) -> _Known | None:
        """Watch a container that has just been started, or was by another agent; None when it is gone."""
        await self._forget(id_)
        document = await self._inspected(id_)
        if document is None:
            return None
        found = found_of(document)
        pump = Pump(
            self._client, found.container, self._outputs.open(id_), self._folder / f"{id_}.log-from"
        )
        watch = None
        if found.pid:
            watch = MemoryWatch(self._groups, cgroup_of(found.pid))
        running = Found(found.container, found.pid, found.started_ns, None)
        known = self._known[id_] = _Known(running, pump, watch)
        return known

    async def _ended(self, id_: str, known: _Known) -> None:
        await known.pump.finished(_PRINTED_WITHIN_S)
        await known.pump.close()
        self._outputs.close(id_)
        kills = known.watch.kills if known.watch else 0
        document = await self._inspected(id_)
        if document is None:
            return
        found = found_of(document, memory_kills=kills)
        if found.container == known.found.container and found.exit is not None:
            known.found = Found(found.container, 0, known.found.started_ns, found.exit)
            _unwatch(known)
            self._changed.set()

    async def _forget(self, id_: str) -> None:
        known = self._known.pop(id_, None)
        if known is not None:
            await known.pump.close()
            _unwatch(known)
            self._outputs.close(id_)

    async def _inspected(self, id_: str) -> Any:
        name = container_name(self._engine.agent, id_)
        answer = await self._client.ask("GET", f"/containers/{name}/json")
        return None if answer.status == 404 else _good(answer).document

    async def _running(self, id_: str) -> Found:
        await self._look()
        known = self._known.get(id_)
        if known is None or known.found.exit is not None:
            raise Unavailable(f"{id_} does not run")
        return known.found

    async def _end(self, id_: str, signal: str, within_s: float) -> None:
        """Send a signal, and wait until the container has ended, or the time is over."""
        path = f"/containers/{container_name(self._engine.agent, id_)}"
        told = await self._client.ask("POST", f"{path}/kill", signal=signal)
        if told.is_good:
            with contextlib.suppress(Unavailable):
                await self._client.ask("POST", f"{path}/wait", timeout_s=max(within_s, 0.01))

    async def _remove(self, id_: str) -> None:
        """Leave nothing of an instance."""
        await self._end(id_, "SIGKILL", _KILLED_WITHIN_S)
        known = self._known.get(id_)
        if known is not None:
            await known.pump.finished(_PRINTED_WITHIN_S)
        await self._forget(id_)
        path = f"/containers/{container_name(self._engine.agent, id_)}"
        gone = await self._client.ask("DELETE", path, force="1", v="1")
        if not gone.is_good and gone.status != 404:
            raise Unavailable(f"{id_} cannot be removed: {gone.reason}")
        with contextlib.suppress(OSError):
            (self._folder / f"{id_}.log-from").unlink(missing_ok=True)

    async def _watch(self) -> None:
        """Look whenever a container has ended, and whenever the engine is there again."""
        # Docker's word for an end, and Podman's; both filter by words that they do not know, too.
        said = {"type": ["container"], "event": ["die", "died"], "label": [self._label]}
        filters = json.dumps(said)
        pause_s, is_lost = _RECONNECT_MIN_S, False
        while True:
            try:
                async with self._client.stream("GET", "/events", None, filters=filters) as pieces:
                    await self._look()
                    pause_s, is_lost = _RECONNECT_MIN_S, False
                    async for _ in pieces:
                        await self._look()
            except Unavailable as error:
                if not is_lost:
                    _LOG.warning("engine_lost", reason=str(error))
                is_lost = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _RECONNECT_MAX_S)


def _guarantees(info: Any) -> Guarantees:
    said = info if isinstance(info, dict) else {}
    options = [str(one) for one in said.get("SecurityOptions") or []]
    return Guarantees(
        memory=said.get("MemoryLimit") is True,
        cpu=said.get("CpuCfsQuota") is True or said.get("CPUCfsQuota") is True,
        pids=said.get("PidsLimit") is True,
        read_only_root=True,
        no_capabilities=True,
        system_calls=any(one.startswith("name=seccomp") for one in options),
        own_network=True,
        own_files=True,
        images=True,
        survives_agent=True,
        exit_codes_after=True,
    )


def _kept(folder: Path, profile: str) -> Path:
    """Put the list of system calls where Podman reads it."""
    place = folder / "seccomp.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place.write_text(profile, "utf-8")
    except OSError as error:
        raise Unavailable(f"{place} cannot be written: {error.strerror}") from error
    return place


def _good(answer: Answer) -> Answer:
    if not answer.is_good:
        raise Unavailable(f"the container engine refuses: {answer.reason}")
    return answer


def _run(answer: Answer, instance: Instance) -> None:
    """Raise BadInput for what can never be run, Unavailable for what was not this time."""
    if answer.is_good:
        return
    sentence = f"{instance.service.name} could not be started: {answer.reason}"
    raise BadInput(sentence) if _NEVER.search(answer.reason) else Unavailable(sentence)


def _unwatch(known: _Known) -> None:
    if known.watch is not None:
        known.watch.close()
        known.watch = None
