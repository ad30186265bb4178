"""Runs services as containers of the kernel, through runc or crun, without anything between.

    start   config.json, root mounted, pipes > run --detach > pid > watched
    end     pidfd > exit code, out of memory? > exit.json > deleted, unmounted
    dead    another agent reads the folders: running ones are watched on, half-started ones are taken back

Rule 1: the container program leaves when the container runs; nothing of ours stays beside it.
Rule 2: folder, state and control group are of one agent, so that two on one machine do not meet.
Rule 3: an instance that has ended holds nothing but its folder, until it is started again or stopped.
"""

import asyncio
import contextlib
import itertools
import os
import platform
import re
import resource
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from edge_agent.adapters import cgroups, children, data_folders, exits, oci_tool, pidfds
from edge_agent.adapters.cgroups import Groups
from edge_agent.adapters.exits import Watched
from edge_agent.adapters.oci_bundle import Bundle
from edge_agent.adapters.oci_tool import COMMAND_TIMEOUT_S, Tool
from edge_agent.adapters.overlay import mount_root, unmount
from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.instance import Instance, Root
from edge_agent.services.oci_config import NAMES_OF_OTHERS, Vehicle, config, skeleton
from edge_agent.services.runtime import (
    OUTPUT_MAX_BYTES,
    Executed,
    Exit,
    Guarantees,
    Seen,
    Usage,
)
from fairway import log
from fairway.errors import BadInput, FairwayError, Unavailable

_LOG = log.get("edge_agent.services")

# More at once make none of them quicker: a start is work for the processor.
_STARTS_AT_ONCE = 4
_ID = re.compile(r"[a-z0-9-]+\.[0-9a-f]{12}")
# A process that was killed is gone by then, or it hangs in the kernel.
_KILL_TRIES, _KILL_WAIT_S = 100, 0.1


@dataclass(slots=True)
class _Known:
    """A container of ours."""

    seen: Seen
    watched: Watched | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def group_of(folder: Path, group: str) -> str:
    """Return the control group below `group` in which all containers of an agent's `folder` are."""
    above = f"/{group.strip('/')}".rstrip("/")
    return f"{above}/{sha256(os.fsencode(folder.absolute())).hexdigest()[:8]}"


class OciRuntime:
    """Runs containers.  Of one event loop."""

    def __init__(self, folder: Path, tool: Tool, groups: Groups, group: str, logs: LogBook) -> None:
        """Use open()."""
        self._bundles, self._state = (folder.absolute() / name for name in ("bundles", "state"))
        self._tool, self._groups, self.logs = tool, groups, logs
        self._vehicle = _vehicle(groups, group_of(folder, group))
        self._known: dict[str, _Known] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._changed = asyncio.Event()
        self._commands = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, folder: Path, logs: LogBook, *, program: str = "", group: str = "/fairway"
    ) -> Self:
        """Find again what an earlier agent with the same folder left, and take back what it did not finish.

        Raises Unavailable when this machine cannot run containers, BadInput for a program that is none.
        """
        if os.geteuid() != 0:
            raise Unavailable("containers need an agent that runs as root")
        groups = cgroups.look()
        cgroups.check_parent(groups, group_of(folder, group))
        tool = await oci_tool.find(groups, program)
        made = cls(folder, tool, groups, group, logs)
        await made._find_again()
        _LOG.info(
            "containers_by",
            program=tool.name,
            version=tool.version,
            cgroups=groups.mode,
            running=len(made._known),
        )
        return made

    async def close(self) -> None:
        """Watch no longer; what runs goes on."""
        for known in self._known.values():
            if known.watched is not None:
                known.watched.forget()
        for task in tuple(self._tasks):
            with contextlib.suppress(FairwayError, OSError):
                await task

    @property
    def gives(self) -> Guarantees:
        return Guarantees(
            memory=self._groups.where("memory") is not None,
            cpu=self._groups.where("cpu") is not None,
            pids=self._groups.where("pids") is not None,
            read_only_root=True,
            no_capabilities=True,
            system_calls=True,
            own_network=True,
            own_files=True,
            images=True,
            survives_agent=True,
            exit_codes_after=False,
        )

    async def start(self, instance: Instance) -> None:
        async with self._locks[instance.id], self._starts:
            known = self._known.get(instance.id)
            if known is not None and known.seen.exit is None:
                return
            made = self._config(instance)
            if known is not None:
                await self._remove(instance.id)
            try:
                await self._begin(instance, made)
            except BaseException as error:
                with contextlib.suppress(FairwayError, OSError):
                    await self._remove(instance.id)
                if isinstance(error, OSError):
                    raise Unavailable(f"{instance.id} cannot be started: {error}") from error
                raise

    async def stop(self, id_: str, *, signal: str = "TERM", grace_s: float = 5.0) -> None:
        async with self._locks[id_]:
            known = self._known.get(id_)
            if known is not None and known.watched is not None and known.seen.exit is None:
                await _end(known, signal, grace_s)
            await self._remove(id_)

    async def instances(self) -> Mapping[str, Seen]:
        return {id_: known.seen for id_, known in self._known.items()}

    async def until_changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        if not argv:
            raise BadInput(f"{id_}: there is no command to run")
        pid = self._running_pid(id_)
        number = next(self._commands)
        log_file, pid_file = (
            self._bundles / id_ / f"command-{number}.{kind}" for kind in ("json", "pid")
        )
        words = ("exec", "--pid-file", str(pid_file), id_, *argv)
        with exits.inheriting_orphans():
            try:
                done = await children.run(
                    self._tool.command(self._state, log_file, *words),
                    timeout_s=timeout_s,
                    output_max_bytes=OUTPUT_MAX_BYTES,
                )
                output = done.output.decode("utf-8", "replace")
                if not pid_file.exists():
                    return _not_executed(id_, oci_tool.said(log_file, output))
                return Executed(done.code, output)
            except BaseException:
                self._end_orphans(id_, pid)
                raise
            finally:
                exits.reap_strays(*self._first_pids())
                log_file.unlink(missing_ok=True)
                pid_file.unlink(missing_ok=True)

    def _first_pids(self) -> list[int]:
        return [known.seen.pid for known in self._known.values()]

    async def usage(self, id_: str) -> Usage:
        self._running_pid(id_)
        return cgroups.usage(self._groups, self._group(id_))

    def _running_pid(self, id_: str) -> int:
        known = self._known.get(id_)
        if known is None or known.watched is None or known.seen.exit is not None:
            raise Unavailable(f"{id_} does not run")
        return known.seen.pid

    def _bundle(self, id_: str) -> Bundle:
        if not _ID.fullmatch(id_):
            raise BadInput(f"{id_[:80]!r} is no name of an instance")
        return Bundle(self._bundles / id_)

    def _group(self, id_: str) -> str:
        return f"{self._vehicle.group}/{id_}"

    def _config(self, instance: Instance) -> Mapping[str, Any]:
        if instance.root is None:
            raise BadInput(f"{instance.id} has no image: a container needs one")
        return config(instance, self._vehicle, root=str(self._bundles / instance.id / "root"))

    async def _begin(self, instance: Instance, made: Mapping[str, Any]) -> None:
        bundle = self._bundle(instance.id)
        bundle.make(made, *skeleton(instance, self._vehicle))
        data_folders.make(instance)
        assert instance.root is not None
        await mount_root(_with(instance.root, bundle.skeleton), bundle.root)
        words = ("run", "--detach", "--pid-file", str(bundle.pid_file))
        command = self._tool.command(
            self._state, bundle.log, *words, "--bundle", str(bundle.folder), instance.id
        )
        with ExitStack() as files:
            starting = bundle.starting()
            files.callback(os.close, starting)
            out, err = self.logs.open(instance.id, owner=instance.uid)
            files.callback(os.close, out)
            files.callback(os.close, err)
            files.enter_context(exits.inheriting_orphans())
            done = await children.run(
                command, timeout_s=COMMAND_TIMEOUT_S, out=out, err=err, keep=(starting,)
            )
        if done.code:
            raise oci_tool.error(f"{instance.id} cannot be started", oci_tool.said(bundle.log))
        self._watch(instance.id, bundle)

    def _watch(self, id_: str, bundle: Bundle) -> None:
        known = _Known(Seen(bundle.pid(), bundle.started_ns()))
        known.watched = Watched(known.seen.pid, lambda exit_: self._ended(id_, known, exit_))
        self._known[id_] = known

    def _ended(self, id_: str, known: _Known, exit_: Exit) -> None:
        self._write_down(id_, known, exit_)
        known.ended.set()
        self._changed.set()
        task = asyncio.get_running_loop().create_task(self._clear_ended(id_, known))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write_down(self, id_: str, known: _Known, exit_: Exit) -> None:
        # Out of memory is told from a crash by the kernel's own count; whoever ends well, survived it.
        kills = cgroups.out_of_memory_kills(self._groups, self._group(id_))
        exit_ = replace(exit_, was_out_of_memory=bool(kills) and exit_.code != 0)
        known.seen = replace(known.seen, exit=exit_)
        self.logs.close(id_)
        try:
            self._bundle(id_).keep_exit(exit_)
        except OSError as error:
            _LOG.warning("exit_not_kept", instance=id_, reason=str(error))

    async def _clear_ended(self, id_: str, known: _Known) -> None:
        """Let go of what an ended container still holds, unless somebody was quicker."""
        async with self._locks[id_]:
            if self._known.get(id_) is known:
                try:
                    await self._let_go(id_)
                except (FairwayError, OSError) as error:
                    _LOG.warning("container_not_cleared", instance=id_, reason=str(error))

    async def _remove(self, id_: str) -> None:
        """Leave nothing of it.  Raises Unavailable."""
        await self._let_go(id_)
        try:
            self._bundle(id_).remove()
        except OSError as error:
            raise Unavailable(f"{id_} cannot be removed: {error}") from error
        self._known.pop(id_, None)
        self.logs.close(id_)

    async def _let_go(self, id_: str) -> None:
        bundle = self._bundle(id_)
        if (self._state / id_).exists():
            bundle.log.unlink(missing_ok=True)
            command = self._tool.command(self._state, bundle.log, "delete", "--force", id_)
            done = await children.run(
                command, timeout_s=COMMAND_TIMEOUT_S, output_max_bytes=OUTPUT_MAX_BYTES
            )
            if done.code:
                why = oci_tool.said(bundle.log, done.output.decode("utf-8", "replace"))
                _LOG.warning("container_not_deleted", instance=id_, reason=why)
                shutil.rmtree(self._state / id_, ignore_errors=True)
        await cgroups.remove(self._groups, self._group(id_))
        await unmount(bundle.root)

    async def _find_again(self) -> None:
        """Know what is there, and take back what nobody knows."""
        self._bundles.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in sorted(self._bundles.iterdir()):
            if _ID.fullmatch(folder.name):
                with _told_if_stuck(folder.name):
                    await self._find_one(folder.name, Bundle(folder))
        left = {path.name for path in self._state.iterdir()}
        left |= cgroups.children(self._groups, self._vehicle.group)
        for id_ in sorted(filter(_ID.fullmatch, left - self._known.keys())):
            _LOG.warning("container_of_nobody", instance=id_)
            with _told_if_stuck(id_):
                await self._remove(id_)

    async def _find_one(self, id_: str, bundle: Bundle) -> None:
        await bundle.until_started()
        if not bundle.is_of_this_boot():
            await self._remove(id_)
            return
        pid, exit_ = bundle.pid(), bundle.exit()
        if exit_ is not None:
            self._known[id_] = _Known(Seen(pid, bundle.started_ns(), exit_))
            await self._let_go(id_)
        elif pid and cgroups.holds(self._group(id_), pid):
            self.logs.adopt(id_)
            self._watch(id_, bundle)
        elif pid:
            known = self._known[id_] = _Known(Seen(pid, bundle.started_ns()))
            self.logs.adopt(id_)
            self._write_down(id_, known, Exit(None))
            await self._let_go(id_)
        else:
            _LOG.warning("container_half_started", instance=id_)
            await self._remove(id_)

    def _end_orphans(self, id_: str, first_pid: int) -> None:
        """End commands whose container program was killed: they are our children now."""
        for pid in cgroups.pids(self._groups, self._group(id_)) - {first_pid}:
            if pidfds.parent_of(pid) == os.getpid():
                with contextlib.suppress(Unavailable):
                    Watched(pid, lambda _: None).signal("KILL")


async def _end(known: _Known, signal: str, grace_s: float) -> None:
    assert known.watched is not None
    is_heard = not known.watched.is_deaf_to(signal)
    known.watched.signal(signal)
    with contextlib.suppress(TimeoutError):
        # Outside a container it would end at once: nothing is waited for that cannot come.
        async with asyncio.timeout(grace_s if is_heard else 0):
            await known.ended.wait()
            return
    known.watched.signal("KILL")
    for _ in range(_KILL_TRIES):
        exits.reap_strays(known.seen.pid)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_WAIT_S):
                await known.ended.wait()
                return
    raise Unavailable(f"process {known.seen.pid} was killed and does not end")


@contextlib.contextmanager
def _told_if_stuck(id_: str) -> Iterator[None]:
    """Let a container that cannot be cleared cost no other one anything: its own start tries again."""
    try:
        yield
    except (FairwayError, OSError) as error:
        _LOG.error("container_stuck", instance=id_, reason=str(error))


def _with(root: Root, skeleton_: Path) -> Root:
    return replace(root, layers=(*root.layers, skeleton_))


def _not_executed(id_: str, why: str) -> Executed:
    """Return what a shell would when there is no such command.  Raises Unavailable when that is not why."""
    if isinstance(oci_tool.error("", why), BadInput):
        return Executed(126 if "ermission denied" in why else 127, why)
    raise Unavailable(f"nothing can be run in {id_}: {why}")


def _vehicle(groups: Groups, parent: str) -> Vehicle:
    return Vehicle(
        machine=platform.machine(),
        group=parent,
        limits_swap=groups.limits_swap,
        has_cgroup_namespaces=Path("/proc/self/ns/cgroup").exists(),
        files_hard_max=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        oom_score=int(Path("/proc/self/oom_score_adj").read_text()),
        names=tuple(name for name in NAMES_OF_OTHERS if Path(name).exists()),
    )
