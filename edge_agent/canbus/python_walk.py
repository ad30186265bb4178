"""Reads the table one signal at a time: for payloads too short to be read as a whole.

Rule 1: a signal that does not lie wholly inside the payload costs that signal, and what it would select.
"""

from edge_agent.canbus import plan_table
from edge_agent.canbus.decoded import SHORT_FRAME, UNKNOWN_MULTIPLEXER
from edge_agent.canbus.generated_bytes import Op, bits_in, ops_of, signed


class Walker:
    """Walks the runs of a table."""

    def __init__(self, table: plan_table.Table) -> None:
        self.table = table
        self._needs: dict[int, int] = {}

    def need(self, run: int) -> int:
        """Return how many bytes a frame must have for none of its signals to be cut off."""
        if run not in self._needs:
            self._needs[run] = self._need_below(run)
        return self._needs[run]

    def _need_below(self, run: int) -> int:
        table = self.table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        need = int(table.ops["need"][first_op : first_op + count].max(initial=0))
        for _, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            for below in set(table.arms["run"][first_arm : first_arm + arms].tolist()):
                need = max(need, self._need_below(below))
        return need

    def walk(self, run: int, data: bytes) -> tuple[list[int], set[int]]:
        """Return which ops apply to a payload and lie wholly inside it, and the reasons to complain."""
        table = self.table
        first_op, count, first_switch, switches = table.runs[run].tolist()
        ops = ops_of(table, first_op, count)
        found = [first_op + at for at, op in enumerate(ops) if op.need <= len(data)]
        reasons = {SHORT_FRAME} if len(found) < count else set()
        for at, first_arm, arms in table.switches[first_switch : first_switch + switches].tolist():
            op = ops[at - first_op]
            if op.need > len(data):
                continue
            below = _selected(op, bits_in(op, data), table.arms[first_arm : first_arm + arms])
            if below is None:
                reasons.add(UNKNOWN_MULTIPLEXER)
                continue
            more, why = self.walk(below, data)
            found += more
            reasons |= why
        return found, reasons

    def ops(self, numbers: list[int]) -> list[Op]:
        """Return some ops by their numbers."""
        return [ops_of(self.table, number, 1)[0] for number in numbers]


def _selected(op: Op, bits: int, arms: plan_table.Column) -> int | None:
    """Return the run that a selector's bits lead to."""
    value = bits - plan_table.TOP_BIT if op.bits == 64 and not op.sign else signed(op, bits)
    for low, high, run, _ in arms.tolist():
        if low <= value <= high:
            return int(run)
    return None
