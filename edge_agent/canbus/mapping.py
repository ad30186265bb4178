"""From decoded CAN signals to samples: VSS leaves where a mapping says so, Bus.Message.Signal elsewhere.

    Decoded rows > targets > gates, joins > interval > transform > limits > change > SampleBlock

Rule 1: rows keep the order of their frames, and the time their frames arrived at.
Rule 2: the order of the tests is that of the KUKSA CAN provider: a row that is due by its interval uses the
        interval up, whether or not its transform then fails or its value has not changed.
Rule 3: what is refused (see Refusal) is counted by leaf and reason; it is never silently another value.
Rule 4: the mapping needs every decoded row: give it blocks decoded without `changed_only`.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.decoder import Decoded
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.mapping_joins import Arrivals, Completed, Joins
from edge_agent.canbus.mapping_names import Gate, Names
from edge_agent.canbus.mapping_rules import Rule, leaf_rule, raw_rule
from edge_agent.canbus.mapping_steps import Refusal, Steps
from edge_agent.canbus.mapping_values import Texts
from edge_agent.canbus.plan import Plan
from edge_agent.canbus.sift import Sieve, Sift
from fairway.catalog.model import Catalog, MappingProblem, MathTransform
from fairway.errors import BadInput
from fairway.expression.arithmetic import parse
from fairway.samples import Kind, SampleBlock, Signal, SignalTable, empty_block


def compile_mapping(
    plan: Plan,
    catalog: Catalog,
    *,
    unmapped: bool,
    strict: bool = False,
    sift: Sift | None = None,
) -> "Mapping":
    """Return the mapping of `plan` onto the leaves of `catalog`, and onto raw names where `unmapped`.

    What cannot be mapped is in its `problems`; with `strict` they raise BadInput instead.
    """
    names, texts = Names(plan), Texts()
    problems = list(catalog.problems)
    rules = []
    for leaf in catalog:
        odd: list[str] = []
        try:
            if leaf.dbc2vss is not None:
                rules.append(leaf_rule(leaf, leaf.dbc2vss, names, texts, odd))
        except BadInput as error:
            odd.append(str(error))
        try:
            if leaf.vss2dbc is not None:
                names.find(leaf.vss2dbc.target)
                if isinstance(leaf.vss2dbc.transform, MathTransform):
                    parse(leaf.vss2dbc.transform.text, ("x",))
        except BadInput as error:
            odd.append(f"vss2dbc: {error}")
        problems.extend(MappingProblem(leaf.path, text) for text in odd)
    if strict and problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BadInput(f"the mapping has a problem: {problems[0]}{more}")
    mapped = len(rules)
    if unmapped:
        used = {part.number for rule in rules for part in rule.parts}
        taken = {rule.signal.name for rule in rules}
        rules.extend(
            raw_rule(signal)
            for signal in plan.signals
            if signal.number not in used and signal.name not in taken
        )
    return Mapping(plan, rules, mapped, texts, tuple(problems), sift=sift)


class Mapping:
    """A compiled mapping with the state of its filters; one for each run of an agent."""

    def __init__(
        self,
        plan: Plan,
        rules: Sequence[Rule],
        mapped: int,
        texts: Texts,
        problems: tuple[MappingProblem, ...],
        *,
        sift: Sift | None,
    ) -> None:
        self.table = SignalTable(tuple(_grouped(plan, rules)))
        self.mapped = mapped  # so many rows of the table are VSS leaves; the rest are raw signals
        self.problems = problems
        self.buses = plan.buses
        self.bus_of_row = np.array([rule.parts[0].bus for rule in rules], np.int32)
        self._texts = texts
        self._steps = Steps(rules, mapped, texts)
        self._is_text = np.array([rule.signal.kind is Kind.TEXT for rule in rules], np.bool_)
        self._has_texts = bool(self._is_text.any())
        self._lay_out_targets(plan, rules)
        self._gates = _gates(rules)
        interval_ns = np.array([rule.interval_ns for rule in rules], np.int64)
        on_change = np.array([rule.on_change for rule in rules], np.bool_)
        self._on_change = on_change
        # How often a row is to come: 0 where it comes as its frames do, or when it changes.
        self.interval_ns, self.is_on_change = interval_ns, on_change
        self._intervals = Sieve(interval_ns, np.zeros(len(rules), np.bool_), sift=sift)
        self._changes = Sieve(np.zeros(len(rules), np.int64), on_change, sift=sift)
        self._has_intervals = bool(interval_ns.any())
        self._has_changes = bool(on_change.any())

    def _lay_out_targets(self, plan: Plan, rules: Sequence[Rule]) -> None:
        """Plan signal -> (row, part) ..., as one list with starts and counts."""
        targets: list[list[tuple[int, int]]] = [[] for _ in plan.signals]
        for row, rule in enumerate(rules):
            for number, part in enumerate(rule.parts):
                targets[part.number].append((row, number))
        self._count = np.array([len(of) for of in targets], np.int64)
        self._start = np.cumsum(self._count) - self._count
        self._is_single = not bool((self._count > 1).any())
        flat = np.array([pair for of in targets for pair in of], np.int32).reshape(-1, 2)
        self._targets, self._target_parts = flat[:, 0].copy(), flat[:, 1].copy()
        self._is_join = np.array([len(rule.parts) > 1 for rule in rules], np.bool_)
        self._joins = Joins(rules) if bool(self._is_join.any()) else None

    def apply(self, decoded: Decoded, frames: FrameBlock) -> SampleBlock:
        """Return the samples of one decoded block."""
        if not len(decoded.signal):
            return empty_block(self.table)
        source, target = self._rows(decoded)
        row = self._targets[target]
        if self._gates:
            passes = self._gate(decoded, source, row, len(frames))
            source, target, row = source[passes], target[passes], row[passes]
        value = decoded.value[source]
        joined = None
        if self._joins is not None:
            is_part = self._is_join[row]
            if bool(is_part.any()):
                arrivals = self._arrivals(decoded, frames, source, target, is_part)
                alone = ~is_part
                source, row, value, joined = _woven(
                    source[alone], row[alone], value[alone], self._joins.completed(arrivals)
                )
        time_ns = frames.time_ns[decoded.frame[source]]
        if self._has_intervals:
            keep = self._intervals.kept(row, time_ns, value)
            source, row, value, time_ns = source[keep], row[keep], value[keep], time_ns[keep]
            joined = None if joined is None else joined[keep]
        stands = self._steps.run(row, decoded.raw[source], value, joined)
        if stands is not None:
            row, value, time_ns = row[stands], value[stands], time_ns[stands]
        if self._has_changes and bool(self._on_change[row].any()):
            keep = self._changes.kept(row, time_ns, value)
            row, value, time_ns = row[keep], value[keep], time_ns[keep]
        texts = self._own_texts(row, value) if self._has_texts else ()
        return SampleBlock(self.table, row, time_ns, value, texts)

    @property
    def refused(self) -> dict[Refusal, int]:
        """How many rows became no sample, by reason."""
        totals = self._steps.refused.sum(axis=1).tolist()
        return {reason: totals[reason] for reason in Refusal}

    def refused_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each row of the table how often its value was refused, and how often it had none."""
        refused = self._steps.refused
        without = refused[Refusal.NOT_AVAILABLE]
        return refused.sum(axis=0) - without, without.copy()

    def refused_by_leaf(self) -> dict[str, dict[Refusal, int]]:
        """The same for each leaf that has had a row refused."""
        refused = self._steps.refused
        return {
            self.table[row].name: {
                reason: int(refused[reason, row]) for reason in Refusal if refused[reason, row]
            }
            for row in np.flatnonzero(refused.any(axis=0)).tolist()
        }

    def _rows(self, decoded: Decoded) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for every row to come which decoded row it is made of, and which target it has."""
        count = self._count[decoded.signal]
        if self._is_single:
            source = count.nonzero()[0]
            return source, self._start[decoded.signal[source]]
        source = np.repeat(np.arange(len(count)), count)
        # Each signal's targets stand side by side: count up from its start.
        before = np.cumsum(count) - count
        return source, np.arange(len(source)) + (self._start[decoded.signal] - before)[source]

    def _gate(
        self, decoded: Decoded, source: NDArray[np.intp], row: NDArray[np.int32], frames: int
    ) -> NDArray[np.bool_]:
        """Return which rows' frames have the values that select them."""
        passes = np.ones(len(row), np.bool_)
        for gate, rows in self._gates.items():
            open_frames = np.zeros(frames, np.bool_)
            says_so = (decoded.signal == gate.number) & (decoded.raw == gate.raw)
            open_frames[decoded.frame[says_so]] = True
            at = np.isin(row, rows).nonzero()[0]
            passes[at] &= open_frames[decoded.frame[source[at]]]
        return passes

    def _arrivals(
        self,
        decoded: Decoded,
        frames: FrameBlock,
        source: NDArray[np.intp],
        target: NDArray[np.intp],
        is_part: NDArray[np.bool_],
    ) -> Arrivals:
        source, target = source[is_part], target[is_part]
        frame = decoded.frame[source]
        return Arrivals(
            source,
            self._targets[target],
            self._target_parts[target],
            decoded.raw[source],
            decoded.value[source],
            frame,
            frames.time_ns[frame],
        )

    def _own_texts(self, row: NDArray[np.int32], value: NDArray[np.float64]) -> tuple[str, ...]:
        """Number the texts of this block from 0, in place."""
        at = np.flatnonzero(self._is_text[row])
        if not len(at):
            return ()
        numbers, which = np.unique(value[at].astype(np.intp), return_inverse=True)
        value[at] = which
        texts = self._texts.texts
        return tuple(texts[number] for number in numbers.tolist())


def _woven(
    source: NDArray[np.intp],
    row: NDArray[np.int32],
    value: NDArray[np.float64],
    completed: list[Completed],
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
    """Put composed values where their last parts stand; also say which rows those are."""
    source = np.concatenate([source, *(made.source for made in completed)])
    order = np.argsort(source, kind="stable")
    return (
        source[order],
        np.concatenate([row, *(made.row for made in completed)])[order],
        np.concatenate([value, *(made.value for made in completed)])[order],
        order >= len(row),
    )


def _gates(rules: Sequence[Rule]) -> dict[Gate, NDArray[np.int32]]:
    rows = defaultdict(list)
    for row, rule in enumerate(rules):
        for gate in rule.gates:
            rows[gate].append(row)
    return {gate: np.array(of, np.int32) for gate, of in rows.items()}


def _grouped(plan: Plan, rules: Sequence[Rule]) -> Iterator[Signal]:
    """Yield the rules' signals, those of one message under one group number."""
    groups: dict[tuple[int, int], int] = {}
    for signal in plan.signals:
        groups.setdefault((signal.bus, id(signal.message)), len(groups) + 1)
    for rule in rules:
        first = rule.parts[0]
        yield dataclasses.replace(rule.signal, group=groups[first.bus, id(first.message)])
