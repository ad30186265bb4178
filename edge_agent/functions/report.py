"""What the agent knows of a campaign's functions: for `why`, the check-in, and the metrics."""

from dataclasses import dataclass, field

from edge_agent.functions.life import State


@dataclass(frozen=True, slots=True)
class Report:
    """The process of one campaign's functions, and what came of its calls."""

    state: State = State.IDLE
    reason: str = ""  # why it is not ready, or was not before
    starts: int = 0
    calls: int = 0
    errors: int = 0  # calls that raised, or returned what is no value
    error: str = ""  # the last of them
    held_back: int = 0  # calls that were not made for want of CPU time
    late: int = (
        0  # calls that a busy machine, or a process that waits, left without an answer in time
    )
    undefined: int = 0  # calls without an answer, for whatever reason but an error of their own
    cpu_ns: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # functions that are called no more: why
    walls_missing: dict[str, str] = field(default_factory=dict)
    printed: str = ""  # the end of what the functions printed

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person has to know about it; nothing when all is well."""
        said = []
        if self.state is State.GIVEN_UP:
            said.append(f"its functions are given up: {self.reason}")
        elif self.reason and self.state is not State.READY:
            said.append(f"its functions are {self.state}: {self.reason}")
        said += [f"function {name} is given up: {why}" for name, why in self.refused.items()]
        if self.errors:
            said.append(f"{self.errors} of {self.calls} calls failed, the last so: {self.error}")
        if self.held_back:
            said.append(f"{self.held_back} calls were not made: the CPU time was used up")
        if self.late:
            said.append(
                f"{self.late} calls were answered too late, or not yet, and count as undefined"
            )
        said += [f"not enforced here: {name} ({why})" for name, why in self.walls_missing.items()]
        return tuple(said)
