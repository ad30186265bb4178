"""Does one act of an order with the installers and ports, and says what came of it.

Rule 1: an error of ours becomes a fault here, once: what is never possible ends the update, what is not
        possible now is tried again so often, and on the way back for ever.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.adapters.disk import sync_directory
from edge_agent.adapters.updates_around import Around
from edge_agent.updates.acts import Act, Do, Failed, Good, Outcome
from edge_agent.updates.life import Step
from edge_agent.updates.order import Consent, Order, Task
from edge_agent.updates.planner import WHOLE, whole
from edge_agent.updates.ports import Bases, Health, Installer, Stored, Verdict
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Denied, FairwayError, Tampered, Unavailable
from fairway.update import Fault
from ota.manifest import Form, Source

PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Later:
    """Not now."""

    after_s: float
    why: tuple[str, ...] = ()
    source: Source | None = None  # the image is to be had another way


@dataclass(slots=True)
class _Look:
    """How long what is new has been looked at, and been well (monotonic clock)."""

    since_ns: int
    well_since_ns: int | None = None


@dataclass(slots=True)
class _Tries:
    """How often something was tried."""

    of: tuple[str, Act] | None = None
    count: int = 0
    fetching: "asyncio.Future[int] | None" = field(default=None)


class Actor:
    """Does acts."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._tries = _Tries()
        self._look: tuple[str, _Look] | None = None

    async def do(self, order: Order, act: Act) -> Outcome | Later:
        """Do it."""
        match act.do:
            case Do.RESTART:
                return await self._restart(order)
            case Do.LOOK:
                return await self._looked(order)
            case Do.COMMIT | Do.ROLLBACK:
                return await self._surely(order, act)
            case _:
                return await self._once(order, act)

    def stop(self) -> None:
        """Stop fetching: the order is given up."""
        if self._tries.fetching is not None:
            self._tries.fetching.cancel()

    def waited(self, order: Order, reasons: tuple[str, ...]) -> Outcome | Later:
        """Return what waiting for the conditions has come to."""
        if order.consent is Consent.DECLINED:
            return Failed(Fault.CONSENT, "the driver has declined it")
        if not reasons:
            return Good()
        age_s = (self._around.clock.now_ns() - order.since_ns) / NS_PER_S
        if age_s > self._around.limits.order_max_age_s:
            days = age_s / 86_400
            return Failed(
                Fault.CONDITION, f"it has waited for {days:.0f} days: {'; '.join(reasons)}"
            )
        return Later(self._around.limits.look_s, reasons)

    # before anything changes for good

    async def _once(self, order: Order, act: Act) -> Outcome | Later:
        task = order.tasks[act.task]
        steps: dict[Do, Callable[[Order, Task], Awaitable[Outcome | Later]]] = {
            Do.FETCH: self._fetched,
            Do.VERIFY: self._verified,
            Do.PREPARE: self._prepared,
            Do.ACTIVATE: self._activated,
        }
        try:
            async with asyncio.timeout(_longest_s(act, task)):
                return await steps[act.do](order, task)
        except TimeoutError:
            limit_s = task.assigned.image.install.duration_max_s
            return Failed(Fault.TIME, f"{_name(task)} took longer than {limit_s} s to {act.do}")
        except Denied as error:
            return Failed(Fault.BUDGET, str(error))
        except Tampered as error:
            return Failed(Fault.TRUST if act.do is Do.FETCH else Fault.INSTALL, str(error))
        except BadInput as error:
            return Failed(Fault.NETWORK if act.do is Do.FETCH else Fault.INSTALL, str(error))
        except (Unavailable, OSError) as error:
            return self._again(order, act, str(error))

    def _again(self, order: Order, act: Act, why: str) -> Failed | Later:
        if self._tries.of != (order.token, act):
            self._tries = _Tries((order.token, act))
        self._tries.count += 1
        limits = self._around.limits
        is_far = act.do in (Do.FETCH, Do.VERIFY)  # layers of services come with the check
        most = limits.fetch_tries_max if is_far else limits.tries_max
        if self._tries.count >= most:
            faults = {
                Do.FETCH: Fault.NETWORK,
                Do.VERIFY: Fault.CONDITION,
                Do.ACTIVATE: Fault.CONDITION,
            }
            times = f"tried {self._tries.count} times"
            return Failed(faults.get(act.do, Fault.STORAGE), f"{why} ({times})")
        pause_s = min(limits.back_off_first_s * 2 ** (self._tries.count - 1), limits.back_off_max_s)
        return Later(pause_s, (why,))

    async def _fetched(self, order: Order, task: Task) -> Outcome | Later:
        path = self.path_of(order, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        if await asyncio.to_thread(_is, path, task):
            return Good()
        source, means = task.source, self._around.means()
        packed = path if source.form is Form.PLAIN else path.with_suffix(".packed")
        most = None
        if means.is_metered and means.budget_bytes is not None:
            most = max(0, means.budget_bytes - order.spent_bytes)
        fetching = asyncio.ensure_future(
            self._around.content.fetch(source.blob, packed, most_bytes=most)
        )
        self._tries.fetching = fetching
        try:
            taken = await fetching
        except asyncio.CancelledError:
            if not fetching.cancelled() or _is_cancelling():
                raise
            return Later(0.0, ("it is given up",))
        finally:
            self._tries.fetching = None
        if packed != path and (not_so := await self._unpacked(task, packed, path)) is not None:
            return not_so
        return Good(taken_bytes=taken if means.is_metered else 0)

    async def _unpacked(self, task: Task, packed: Path, path: Path) -> Failed | Later | None:
        base = await self._base(task)
        try:
            await asyncio.to_thread(self._unpack, task, packed, base, path)
        except (BadInput, Tampered) as error:
            return self._instead(task, str(error))
        return None

    def _unpack(self, task: Task, packed: Path, base: Path | None, path: Path) -> None:
        """Make an image of what was fetched, durable; what was fetched is gone then, either way."""
        fresh = path.with_suffix(".new")
        try:
            self._around.unpack(task.assigned.image, task.source, packed, base, fresh)
        except (BadInput, Tampered):
            fresh.unlink(missing_ok=True)
            packed.unlink(missing_ok=True)
            raise
        fresh.replace(path)
        sync_directory(path.parent)
        packed.unlink(missing_ok=True)

    def _instead(self, task: Task, why: str) -> Failed | Later:
        """What does not apply is fetched whole, where that is allowed."""
        means = self._around.means()
        if task.source.form is Form.PLAIN or (
            means.is_metered and not means.may_fetch_whole and task.source.form not in WHOLE
        ):
            return Failed(
                Fault.BUDGET,
                f"{why}; to fetch {_name(task)} whole over a metered link is not allowed",
            )
        return Later(0.0, (f"{why}; {_name(task)} is fetched whole",), whole(task.assigned.image))

    async def _base(self, task: Task) -> Path | None:
        installer = self._installer(task)
        if task.source.form in WHOLE or not isinstance(installer, Bases):
            return None
        return await installer.base(task.assigned.ecu)

    async def _verified(self, order: Order, task: Task) -> Outcome:
        path = self.path_of(order, task)
        if not await asyncio.to_thread(_is, path, task):
            path.unlink(missing_ok=True)
            return Failed(Fault.STORAGE, f"the disk does not hold {_name(task)} as it was fetched")
        await self._installer(task).check(task.assigned)
        return Good()

    async def _prepared(self, order: Order, task: Task) -> Outcome:
        stored = Stored(task.assigned.image, self.path_of(order, task))
        await self._installer(task).prepare(order.token, task.assigned, stored)
        return Good()

    async def _activated(self, order: Order, task: Task) -> Outcome:
        return Good(await self._installer(task).activate(order.token, task.assigned))

    # the two ends

    async def _surely(self, order: Order, act: Act) -> Outcome | Later:
        task = order.tasks[act.task]
        installer = self._installer(task)
        act_on = installer.commit if act.do is Do.COMMIT else installer.rollback
        try:
            return Good(await act_on(order.token, task.assigned))
        except (FairwayError, OSError) as error:
            what = "committed" if act.do is Do.COMMIT else "brought back"
            if self._tries.of != (order.token, act):
                self._tries = _Tries((order.token, act))
            self._tries.count += 1
            limits = self._around.limits
            pause_s = min(
                limits.back_off_first_s * 2 ** min(self._tries.count, 16), limits.way_back_max_s
            )
            return Later(pause_s, (f"{_name(task)} is not {what} yet: {error}",))

    async def _restart(self, order: Order) -> Outcome | Later:
        if order.step is Step.RESTART:
            # Asked once more: what runs already needs no start, and a try that was used up is given again.
            needs = False
            for task in order.tasks:
                try:
                    needs |= await self._installer(task).activate(order.token, task.assigned)
                except (FairwayError, OSError) as error:
                    return Failed(Fault.CONDITION, str(error), task.assigned.ecu.serial)
            if not needs:
                return Good()
        try:
            await self._around.machine.restart()
        except Unavailable as error:
            return Later(self._around.limits.way_back_max_s, (str(error),))
        return Later(self._around.limits.way_back_max_s, ("the vehicle starts anew",))

    async def _looked(self, order: Order) -> Outcome | Later:
        now_ns, limits = self._around.clock.monotonic_ns(), self._around.limits
        if self._look is None or self._look[0] != order.token:
            self._look = order.token, _Look(now_ns)
        look = self._look[1]
        for task in order.tasks:
            verdict = await self._verdict(order, task)
            serial = task.assigned.ecu.serial
            if verdict.health is Health.ILL:
                return Failed(Fault.HEALTH, verdict.sentence, serial, verdict.log)
            if verdict.health is Health.NOT_YET:
                return self._not_yet(look, verdict, serial)
        verdict = await self._around.checks.look()
        if verdict.health is not Health.WELL:
            return self._not_yet(look, verdict, "")
        now_ns = self._around.clock.monotonic_ns()
        if look.well_since_ns is None:
            look.well_since_ns = now_ns
        if now_ns - look.well_since_ns >= limits.health_for_s * NS_PER_S:
            self._look = None
            return Good()
        return Later(limits.look_s, ("it is well, and has to stay so for a while",))

    async def _verdict(self, order: Order, task: Task) -> Verdict:
        try:
            return await self._installer(task).verify(order.token, task.assigned)
        except (Unavailable, OSError) as error:
            return Verdict(Health.NOT_YET, str(error))
        except FairwayError as error:
            return Verdict(Health.ILL, str(error))

    def _not_yet(self, look: _Look, verdict: Verdict, ecu: str) -> Failed | Later:
        look.well_since_ns = None
        limits = self._around.limits
        past_s = (self._around.clock.monotonic_ns() - look.since_ns) / NS_PER_S
        if past_s < limits.health_within_s:
            return Later(limits.look_s, (verdict.sentence,))
        self._look = None
        why = f"it was not well within {limits.health_within_s:g} s: {verdict.sentence}"
        return Failed(Fault.HEALTH, why, ecu, verdict.log)

    def _installer(self, task: Task) -> Installer:
        serial = task.assigned.ecu.serial
        installer = self._around.installers.get(serial)
        if installer is None:
            raise BadInput(f"nothing here installs into the ECU {serial}")
        return installer

    def path_of(self, order: Order, task: Task) -> Path:
        """Return where an image lies once it is fetched."""
        name = hashlib.sha256(task.assigned.ecu.serial.encode()).hexdigest()[:16]
        return self._around.folder / order.token / f"{name}.image"


def _longest_s(act: Act, task: Task) -> float | None:
    if act.do not in (Do.PREPARE, Do.ACTIVATE):
        return None
    return task.assigned.image.install.duration_max_s


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is(path: Path, task: Task) -> bool:
    """Whether a file is an image, whole."""
    image, digest = task.assigned.image, hashlib.sha256()
    try:
        if path.stat().st_size != image.length:
            return False
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                digest.update(part)
    except OSError:
        return False
    return digest.hexdigest() == image.sha256


def _name(task: Task) -> str:
    image = task.assigned.image
    return f"{image.name} {image.version}"
