"""Whatever people, vehicles and workers do, in whatever order: nobody counts twice, what ended stays."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairway.errors import Conflict
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.following import BAD
from fleet_cloud.rollouts.model import Kept, action_of
from fleet_cloud.rollouts.records import verify_export
from tests.rollouts_kit import TENANT, Kit

NAMES = [f"V{number}" for number in range(4)]
STAGES = st.sampled_from([stage for stage in Stage if stage is not Stage.PLANNED])


class Rollout(RuleBasedStateMachine):
    """One rollout of four vehicles."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit()
        self.ended: dict[str, str] = {}
        self.bad: set[str] = set()
        self.workers = 0

    @initialize(percent=st.sampled_from([25, 50]))
    def begin(self, percent: int) -> None:
        self.kit.release()
        for name in NAMES:
            self.kit.vehicle(name)
        gate = {"success_percent": 50, "failure_sample_min": 2}
        waves = [{"percent": percent, "gate": gate}, {"gate": gate}]
        self.kept: Kept = self.kit.rollout(waves=waves)

    @rule(seconds=st.sampled_from([0, 1, 40, 90_000]))
    def work(self, seconds: int) -> None:
        self.kit.run(seconds=seconds)

    @rule()
    def be_killed(self) -> None:
        self.workers += 1
        self.kit.worker = self.kit.worker_of(f"w{self.workers}")

    @rule(
        name=st.sampled_from(NAMES),
        stage=STAGES,
        sequence=st.integers(0, 4),
        attempt=st.integers(1, 3),
        fault=st.none() | st.sampled_from([Fault.NETWORK, Fault.HEALTH, Fault.CONSENT]),
        times=st.integers(1, 2),
    )
    def tell(self, name, stage, sequence, attempt, fault, times) -> None:
        event = UpdateEvent(
            action_of(self.kept.id, attempt),
            sequence,
            self.kit.now,
            stage,
            fault=fault if stage in (Stage.FAILED, Stage.ROLLED_BACK) else None,
        )
        before = self.standing()[name]
        for _ in range(times):
            self.kit.updates.offers.tell(TENANT, name, [event], self.kit.now)
        after = self.standing()[name]
        if (
            before != after
            and (fault in BAD or stage is Stage.ROLLED_BACK)
            and after in ("failed", "rolled_back")
        ):
            self.bad.add(name)

    @rule(verb=st.sampled_from(["pause", "resume", "retry", "stop"]))
    def act(self, verb: str) -> None:
        kept, desk = self.kit.again(self.kept), self.kit.desk
        try:
            if verb in ("pause", "stop"):
                getattr(desk, verb)(kept, "", actor="user:bob", now_ns=self.kit.now)
            else:
                getattr(desk, verb)(kept, actor="user:bob", now_ns=self.kit.now)
            if verb == "retry":
                self.ended = {
                    n: s for n, s in self.ended.items() if s == "committed" or n in self.bad
                }
        except Conflict:
            assert self.kit.again(self.kept) == kept

    def standing(self) -> dict[str, str]:
        if not hasattr(self, "kept"):
            return {}
        found = {
            one.vehicle: one.stage.value for one in self.kit.updates.rollouts.vehicles(self.kept)
        }
        return {name: found.get(name, "") for name in NAMES}

    @invariant()
    def nobody_counts_twice(self) -> None:
        if not hasattr(self, "kept"):
            return
        counts = self.kit.updates.rollouts.counts(self.kept)
        rows = self.kit.updates.rollouts.vehicles(self.kept)
        assert sum(one.total for one in counts.values()) == len(rows) <= len(NAMES)
        committed = [one for one in rows if one.stage is Stage.COMMITTED]
        assert sum(one.committed for one in counts.values()) == len(committed)

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        now = self.standing()
        for name, stage in self.ended.items():
            assert now[name] == stage
        self.ended |= {name: stage for name, stage in now.items() if stage == "committed"}

    @invariant()
    def a_bad_version_is_offered_no_more(self) -> None:
        for name in self.bad:
            assert self.standing()[name] not in ("offered", "planned")

    def teardown(self) -> None:
        if hasattr(self, "kept"):
            keys = {key_name(self.kit.signer.public_key()): self.kit.signer.public_key()}
            lines = list(self.kit.updates.records.export(TENANT, self.kept.id, self.kit.now))
            assert len(list(verify_export(lines, keys))) == 1


Rollout.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRollout = Rollout.TestCase
