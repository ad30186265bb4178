"""The thread that moves rollouts on; any number of processes may run one.

    claim a rollout --> what is known of it? --> decide --> act, once for each slice of vehicles --> again

Rule 1: who holds the lease of a rollout acts on it; a process that was killed loses it after LEASE_S.
Rule 2: an act that came too late changes nothing: the rollout is looked at again.
Rule 3: an error nobody understood ends the program, as in ingest.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.errors import Conflict, Unavailable
from fairway.update import Stage
from fleet_cloud.rollouts.decide import Act, Do, Health, decide, wants_health
from fleet_cloud.rollouts.health import SAMPLE_MAX, health
from fleet_cloud.rollouts.keeping import Advancing, LastValues, Lease, Rollouts, Standings
from fleet_cloud.rollouts.model import Kept, WaveKept

log = logs.get("fleet_cloud.rollouts")

# Longer than any act takes, and short enough that nobody notices that a process was killed.
LEASE_S = 30
TICK_S = 1.0
# Acts of one turn: a rollout with many vehicles lets others come in between.
ROUNDS_MAX = 50

Told = Callable[[str, Sequence[str]], None]  # tenant, vehicles that hold a new order


class Advancer:
    """Moves one rollout on after the other."""

    def __init__(
        self,
        advancing: Advancing,
        rollouts: Rollouts,
        standings: Standings,
        values: LastValues,
        owner: str,
        *,
        told: Told = lambda _tenant, _vehicles: None,
    ) -> None:
        """`owner` names this process, and no other."""
        self._advancing, self._rollouts = advancing, rollouts
        self._standings, self._values = standings, values
        self._owner, self._told = owner, told

    def turn(self, now_ns: int) -> int:
        """Look after every rollout that nobody else does; return how much was done.  Raises Unavailable."""
        seen: set[str] = set()
        done = 0
        while True:
            lease = Lease(self._owner, now_ns + LEASE_S * NS_PER_S + len(seen))
            kept = self._advancing.claim(lease, now_ns)
            if kept is None or kept.id in seen:
                return done
            seen.add(kept.id)
            done += self._look_after(kept, lease, now_ns)

    def _look_after(self, kept: Kept, lease: Lease, now_ns: int) -> int:
        done = 0
        for _ in range(ROUNDS_MAX):
            acts = self._acts(kept, now_ns)
            try:
                count = sum(self._do(kept, act, lease, now_ns) for act in acts)
            except Conflict:  # somebody was quicker, or it was just stopped: look again
                count = 1
            if not count:
                break
            done += count
            newest = self._rollouts.rollout([kept.tenant], kept.id)
            if newest is None:
                break
            kept = newest
        return done

    def _acts(self, kept: Kept, now_ns: int) -> Sequence[Act]:
        waves = self._standings.waves(kept)
        facts = self._advancing.facts(kept, now_ns)
        wave = wants_health(kept, waves, now_ns)
        if wave is not None:
            facts = replace(facts, health=self._health(kept, waves[wave]))
        return decide(kept, waves, facts, now_ns)

    def _do(self, kept: Kept, act: Act, lease: Lease, now_ns: int) -> int:
        vehicles = self._advancing.act(kept, act, lease, now_ns)
        if vehicles:
            self._told(kept.tenant, vehicles)
        if act.do in (Do.OFFER, Do.TIME_OUT):
            return len(vehicles)
        if act.do is not Do.SCAN:
            log.info(
                "rollout",
                rollout=kept.id,
                name=kept.name,
                act=act.do.value,
                wave=act.wave,
                why=act.why,
            )
        return 1

    def _health(self, kept: Kept, wave: WaveKept) -> Health:
        query = kept.wish.waves[wave.number].gate.health
        some = self._standings.vehicles(
            kept, stage=Stage.COMMITTED, wave=wave.number, limit=SAMPLE_MAX
        )
        return health(
            query,
            (self._values.last(kept.tenant, one.vehicle, one.changed_time_ns) for one in some),
        )


class Rollouter:
    """Runs an advancer in a thread."""

    def __init__(
        self, advancer: Advancer, clock: Clock, failed: Callable[[BaseException], None]
    ) -> None:
        self._advancer, self._clock, self._failed = advancer, clock, failed
        self._changed = threading.Condition()
        self._is_stopping = False
        self._is_poked = False
        self._is_reachable = True
        self._thread = threading.Thread(target=self._guarded, name="rollouts")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def poke(self) -> None:
        """Look now: somebody in this process has just changed a rollout."""
        with self._changed:
            self._is_poked = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End after what is being done."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _guarded(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except BaseException as error:  # noqa: BLE001 - told to the program, which ends
            self._failed(error)

    def _turn(self) -> None:
        done = 0
        try:
            done = self._advancer.turn(self._clock.now_ns())
            self._is_reachable = True
        except Unavailable as error:
            if self._is_reachable:
                log.error("rollouts_stalled", reason=str(error))  # noqa: TRY400 - the reason says it
            self._is_reachable = False
        with self._changed:
            if not done:
                self._changed.wait_for(lambda: self._is_stopping or self._is_poked, TICK_S)
            self._is_poked = False
