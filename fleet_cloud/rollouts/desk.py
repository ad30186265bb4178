"""What people do to rollouts: each act is checked, written to the audit log and to the records, and then done.

Rule 1: somebody else than its author approves a rollout, unless the operator has said otherwise
(rollouts.self_approval).
Rule 2: what is approved is the bundle as it was then, by its hash: what is published later is another rollout.
Rule 3: an act is audited before it is done; one that came too late is a Conflict, and changes nothing.
Rule 4: who resumes has seen who failed: what was counted until then is not counted again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fairway.errors import Conflict, Denied
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.rollouts.keeping import Bundles, Rollouts, Standings
from fleet_cloud.rollouts.life import Move, State, WaveMove, WaveState, moved, wave_moved
from fleet_cloud.rollouts.model import Counts, Kept, WaveKept, Wish
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.rollouts.wishes import wish_to_json


class Desk:
    """Acts on the rollouts of all tenants; whether somebody may is asked before."""

    def __init__(
        self,
        rollouts: Rollouts,
        standings: Standings,
        bundles: Bundles,
        audit: Audit,
        new_id: Callable[[], str],
        *,
        self_approval: bool = False,
    ) -> None:
        """`new_id` makes 16 hexadecimal digits."""
        self._rollouts, self._standings, self._bundles = rollouts, standings, bundles
        self._audit, self._new_id, self._self_approval = audit, new_id, self_approval

    def create(
        self, tenant: str, wish: Wish, *, actor: str, now_ns: int, is_draft: bool = False
    ) -> Kept:
        """Make a rollout, which waits for approval or (a draft) to be submitted.

        Raises BadInput when there is no such bundle, Unavailable.
        """
        content = self._bundles.content(tenant, wish.bundle)
        state = State.DRAFT if is_draft else State.AWAITING_APPROVAL
        kept = Kept(self._new_id(), tenant, wish, content, state, actor, now_ns, now_ns)
        details: dict[str, Any] = {
            "by": actor,
            "wish": wish_to_json(wish),
            "bundle": [wish.bundle, content.bundle.version, content.bundle_sha256],
            "images": [list(image) for image in content.images],
            "purpose": content.bundle.purpose,
            "rxswin": list(content.rxswin),
        }
        self._write(Move.SUBMIT if not is_draft else None, kept, actor)
        self._rollouts.add(kept, [Fact(f"rollout:{kept.id}", "create", details)])
        return kept

    def submit(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Have a draft wait for approval."""
        return self._moved(kept, Move.SUBMIT, actor, now_ns)

    def approve(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Approve the content as it is.  Raises Denied to its author."""
        moved(kept.name, kept.state, Move.APPROVE)
        if actor == kept.author and not self._self_approval:
            raise Denied(
                f"{actor} made the rollout {kept.name}: somebody else approves it"
                " (or rollouts.self_approval is set)"
            )
        return self._moved(replace(kept, approved_by=actor), Move.APPROVE, actor, now_ns)

    def reject(self, kept: Kept, why: str, *, actor: str, now_ns: int) -> Kept:
        """End it before it has begun."""
        return self._moved(kept, Move.REJECT, actor, now_ns, why=why)

    def start(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Begin with its first wave."""
        return self._moved(replace(kept, started_time_ns=now_ns), Move.START, actor, now_ns)

    def pause(self, kept: Kept, why: str, *, actor: str, now_ns: int) -> Kept:
        """Offer it to nobody more; who has begun fetches, and does not install."""
        return self._moved(kept, Move.PAUSE, actor, now_ns, why=why)

    def resume(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Go on, knowing who failed."""
        moved(kept.name, kept.state, Move.RESUME)
        counts = self._standings.counts(kept)
        waves = [
            _forgiven(one, counts.get(one.number, Counts()))
            for one in self._standings.waves(kept)
            if one.state is WaveState.FAILED
        ]
        return self._moved(kept, Move.RESUME, actor, now_ns, waves=waves)

    def stop(self, kept: Kept, why: str, *, actor: str, now_ns: int) -> Kept:
        """End it for good: whoever has changed nothing yet gives it up."""
        return self._moved(kept, Move.STOP, actor, now_ns, why=why)

    def retry(self, kept: Kept, *, actor: str, now_ns: int) -> tuple[Kept, int]:
        """Offer it again to those who failed or declined, but for versions that failed in them."""
        to, facts = self._prepared(kept, Move.RETRY, actor, now_ns, kept.why)
        count = self._rollouts.retry(to, facts)
        if count is None:
            raise _late(kept)
        return to, count

    def _moved(
        self,
        kept: Kept,
        move: Move,
        actor: str,
        now_ns: int,
        *,
        why: str = "",
        waves: Sequence[WaveKept] = (),
    ) -> Kept:
        to, facts = self._prepared(kept, move, actor, now_ns, why)
        if not self._rollouts.change(to, facts, waves):
            raise _late(kept)
        return to

    def _prepared(
        self, kept: Kept, move: Move, actor: str, now_ns: int, why: str
    ) -> tuple[Kept, list[Fact]]:
        state = moved(kept.name, kept.state, move)
        to = replace(
            kept, state=state, why=why[:500], changed_time_ns=now_ns, version=kept.version + 1
        )
        self._write(move, to, actor, **({"why": why} if why else {}))
        details = {"by": actor, "why": why, "bundle": kept.content.bundle_sha256}
        return to, [Fact(f"rollout:{kept.id}", move.value, details)]

    def _write(self, move: Move | None, kept: Kept, actor: str, **facts: str) -> None:
        details = {"rollout": kept.id, "bundle": kept.content.bundle_sha256, **facts}
        verb = move or "draft"
        self._audit.write(
            Act(f"rollout.{verb}", actor, f"rollout:{kept.name}", kept.tenant, details=details)
        )


def _forgiven(one: WaveKept, counts: Counts) -> WaveKept:
    return replace(
        one,
        state=wave_moved(one.number, one.state, WaveMove.FORGIVE),
        forgiven_done=counts.done,
        forgiven_failed=counts.failed,
        is_forgiven=True,
    )


def _late(kept: Kept) -> Conflict:
    return Conflict(f"somebody else has just changed the rollout {kept.name}: look at it again")
