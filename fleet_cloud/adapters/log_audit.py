"""An audit log in the program's own log, for programs whose registry keeps none."""

from fairway import log as logs
from fleet_cloud.audit.acts import Act

log = logs.get("fleet_cloud.audit")


class LogAudit:
    """Says each act in one line."""

    def write(self, act: Act) -> None:
        log.info(
            "audit",
            action=act.action,
            actor=act.actor,
            object=act.object,
            tenant=act.tenant,
            outcome=act.outcome.value,
            **{f"detail_{name}": value for name, value in act.details.items()},
        )
