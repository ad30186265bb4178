"""What people do to services of vehicles: each act is checked, written to the audit log, and then done.

Rule 1: where a tenant demands approval, somebody else than its author approves a content, unless the operator
        has said otherwise (services.self_approval); what is in force meanwhile stays in force.
Rule 2: an act is audited before it is done; one that came too late is a Conflict, and changes nothing.
Rule 3: no manifest leaves the cloud that this version cannot read.
"""

from collections.abc import Callable
from dataclasses import replace

from fairway.errors import Conflict, Denied
from fairway.services.model import Service
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.control.targets import Target
from fleet_cloud.services.life import Move, State, moved
from fleet_cloud.services.model import Content, Kept, content_of, desired_id
from fleet_cloud.services.ports import Desired


class Ordering:
    """Acts on the services of all tenants; whether somebody may is asked before."""

    def __init__(
        self,
        desired: Desired,
        audit: Audit,
        needs_approval: Callable[[str], bool] = lambda _tenant: False,
        *,
        self_approval: bool = False,
    ) -> None:
        """`needs_approval` says whether a tenant demands it."""
        self._desired, self._audit = desired, audit
        self._needs_approval, self._self_approval = needs_approval, self_approval

    def apply(
        self, tenant: str, service: Service, target: Target, *, actor: str, now_ns: int
    ) -> Kept:
        """Desire a service of a target; the same again changes nothing.  Raises Conflict, Unavailable."""
        id_ = desired_id(tenant, service.name, target)
        content = content_of(service, author=actor, now_ns=now_ns)
        move = Move.PROPOSE if self._needs_approval(tenant) else Move.APPLY
        kept = self._desired.desired([tenant], id_)
        if kept is not None and _has_all(kept, content):
            return kept
        if kept is None:
            kept = Kept(id_, tenant, service.name, target, State.NEW, now_ns, now_ns, version=0)
        to = (
            replace(kept, proposed=content)
            if move is Move.PROPOSE
            else replace(kept, in_force=content, proposed=None)
        )
        return self._moved(to, move, actor, now_ns, content)

    def approve(self, kept: Kept, sync_id: str, *, actor: str, now_ns: int) -> Kept:
        """Put the content that waits into force.  Raises Denied to its author, Conflict.

        `sync_id` names the content that was looked at; "": whatever waits.
        """
        content = kept.proposed
        moved(kept.name, kept.state, Move.APPROVE)
        assert content is not None
        if sync_id not in ("", content.sync_id):
            raise Conflict(f"what waits of {kept.name} is another content now: look at it again")
        if actor == content.author and not self._self_approval:
            raise Denied(
                f"{actor} wants this of {kept.name}: somebody else approves it"
                " (or services.self_approval is set)"
            )
        approved = replace(content, approved_by=actor)
        to = replace(kept, in_force=approved, proposed=None)
        return self._moved(to, Move.APPROVE, actor, now_ns, approved)

    def withdraw(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Forget the content that waits."""
        return self._moved(
            replace(kept, proposed=None), Move.WITHDRAW, actor, now_ns, kept.proposed
        )

    def remove(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Desire it no longer: vehicles stop it, unless something else wants it of them."""
        content = kept.in_force or kept.proposed
        to = replace(kept, in_force=None, proposed=None)
        return self._moved(to, Move.REMOVE, actor, now_ns, content)

    def _moved(
        self, to: Kept, move: Move, actor: str, now_ns: int, content: Content | None
    ) -> Kept:
        state = moved(to.name, to.state, move)
        changed = replace(to, state=state, changed_time_ns=now_ns, version=to.version + 1)
        details = {"target": f"{to.target.kind}:{to.target.text}", "desired": to.id}
        if content is not None:
            details |= {"version": content.version, "sync_id": content.sync_id}
            details |= {"image": content.image} if content.image else {}
        self._audit.write(
            Act(f"service.{move}", actor, f"service:{to.name}", to.tenant, details=details)
        )
        if to.state is State.NEW:
            self._desired.add(changed)
        elif not self._desired.change(changed):
            raise Conflict(
                f"somebody else has just changed {to.name} of this target: look at it again"
            )
        return changed


def _has_all(kept: Kept, content: Content) -> bool:
    """Whether this content is in force already and nothing else waits, or waits already."""
    if kept.proposed is not None:
        return kept.proposed.sync_id == content.sync_id and kept.proposed.author == content.author
    return kept.in_force is not None and kept.in_force.sync_id == content.sync_id
