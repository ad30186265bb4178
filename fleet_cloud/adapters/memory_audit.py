"""An audit log in memory: for tests and for programs that keep nothing."""

from fleet_cloud.audit.acts import Act


class MemoryAudit:
    """Keeps acts for as long as it lives."""

    def __init__(self) -> None:
        self.acts: list[Act] = []

    def write(self, act: Act) -> None:
        self.acts.append(act)
