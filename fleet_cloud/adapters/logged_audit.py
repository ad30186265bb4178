"""An audit log in the program's own log: one line for each act, for whoever collects logs."""

from fairway import log as logs
from fleet_cloud.audit.acts import Act

log = logs.get("fleet_cloud.audit")


class LoggedAudit:
    """Writes acts where log lines go."""

    def write(self, act: Act) -> None:
        log.info(
            "act",
            action=act.action,
            actor=act.actor,
            object=act.object,
            tenant=act.tenant,
            outcome=act.outcome.value,
            **{f"detail_{name}": value for name, value in act.details.items()},
        )
