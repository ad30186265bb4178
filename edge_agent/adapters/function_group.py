"""One campaign's functions: its process through its life, its CPU budget, and what came of its calls.

    call > is it to start? > is it ready? > is there CPU time? > ask > count      else: undefined, with a reason

Rule 1: a call never raises and never waits beyond its deadline; whatever goes wrong, the row is undefined and
        the reason is in the report.
Rule 2: after a restart the functions begin anew: what they remembered went with their process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.adapters.function_process import FunctionProcess
from edge_agent.functions import life, walls
from edge_agent.functions.life import Life, State
from edge_agent.functions.limits import (
    BATCH_MAX_ROWS,
    ERRORS_MAX,
    MIB,
    OPEN_CALLS,
    START_TIMEOUT_NS,
    CpuBudget,
    Limits,
)
from edge_agent.functions.messages import Results, Row, Value
from edge_agent.functions.report import Report
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Denied, Unavailable

_LOG = log.get("edge_agent.functions")


@dataclass(frozen=True, slots=True)
class Rules:
    """How processes of functions are run on this vehicle."""

    limits: Limits = field(default_factory=Limits)
    enabled: bool = True  # functions that campaigns bring run at all
    without_seccomp: bool = False  # functions run even where the kernel has no seccomp
    waits_for_start: bool = False  # the first call waits: for a dry run, where nothing else does


# For a dry run: nobody else waits for its answers, and its drive passes faster than the clock.
UNHURRIED = Rules(
    Limits(call_timeout_ns=3 * NS_PER_S, cpu_max_ns_per_s=10 * NS_PER_S), waits_for_start=True
)


class FunctionGroup:
    """The functions of one campaign.  Of one thread."""

    def __init__(
        self, campaign: str, sources: Mapping[str, str], rules: Rules, clock: Clock
    ) -> None:
        self._campaign = campaign
        self._sources = sources
        self._rules = rules
        self._limits = rules.limits
        self._clock = clock
        self._life = Life()
        self._process: FunctionProcess | None = None
        self._budget = CpuBudget.full(rules.limits, clock.monotonic_ns())
        self._cpu_seen_ns = 0
        self._opened: set[int] = set()  # places that were called since the process began
        self._errors_in_a_row: dict[str, int] = {}
        self._starts = self._calls = self._errors = self._held_back = self._undefined_calls = 0
        self._late = self._cpu_ns = 0
        self._error = ""
        self._refusals: dict[str, str] = {}
        self._walls_missing: dict[str, str] = {}
        self._printed = b""

    def call(self, place: int, name: str, rows: Sequence[Row]) -> Results:
        """Return what `name` makes of each row, None where nothing came of it."""
        if len(rows) <= BATCH_MAX_ROWS:
            return self._call(place, name, rows)
        values: list[Value | None] = []
        texts: dict[int, Mapping[str, str]] = {}
        errors, error = 0, ""
        for first in range(0, len(rows), BATCH_MAX_ROWS):
            results = self._call(place, name, rows[first : first + BATCH_MAX_ROWS])
            values += results.values
            texts |= {first + row: said for row, said in results.texts.items()}
            errors, error = errors + results.errors, error or results.error
        return Results(tuple(values), texts, errors, error)

    def report(self) -> Report:
        """Return what is known of it."""
        if self._process is not None and self._is_ready():
            self._charge(self._process)
        printed = (self._process and self._process.printed) or self._printed
        return Report(
            state=self._life.state,
            reason=self._life.reason,
            starts=self._starts,
            calls=self._calls,
            errors=self._errors,
            error=self._error,
            held_back=self._held_back,
            late=self._late,
            undefined=self._undefined_calls,
            cpu_ns=self._cpu_ns,
            refused=dict(self._refusals),
            walls_missing=self._walls_missing,
            printed=printed.decode("utf-8", "replace"),
        )

    @property
    def pid(self) -> int | None:
        """The id of its process, if there is one."""
        return self._process.pid if self._process else None

    def advance(self) -> None:
        """Go on with a start that is under way; call it now and then."""
        now_ns = self._clock.monotonic_ns()
        if self._process is None or self._life.state is not State.STARTING:
            return
        try:
            wait_ns = START_TIMEOUT_NS if self._rules.waits_for_start else 0
            if self._process.advance(wait_ns):
                self._loaded(self._process)
            elif now_ns >= self._life.due_ns:
                self._failed("it did not start in time")
        except (BadInput, Denied) as error:
            self._refused(str(error))
        except Unavailable as error:
            self._failed(str(error))

    def close(self) -> None:
        """End the process, with the functions' own clean-up."""
        if self._process is not None:
            self._process.end(cleanup_ns=self._limits.call_timeout_ns if self._is_ready() else 0)
            self._process = None

    def _call(self, place: int, name: str, rows: Sequence[Row]) -> Results:
        self._calls += len(rows)
        process = self._ready_process() if name not in self._refusals else None
        if process is None:
            return self._undefined(len(rows))
        self._charge(process)
        if self._budget.left_ns <= 0:
            self._held_back += len(rows)
            return self._undefined(len(rows))
        timeout_ns = self._limits.timeout_ns(len(rows))
        if place not in self._opened:
            timeout_ns += OPEN_CALLS * self._limits.call_timeout_ns
            self._opened.add(place)
        try:
            results = process.call(place, name, rows, timeout_ns)
        except Unavailable as error:
            self._failed(f"function {name}: {error}")
            return self._undefined(len(rows))
        if results is None:
            self._late += len(rows)
            return self._undefined(len(rows))
        self._count_errors(name, results)
        return results

    def _ready_process(self) -> FunctionProcess | None:
        if not self._is_ready():
            if life.is_to_start(self._life, self._clock.monotonic_ns()):
                self._launch()
            self.advance()
        return self._process if self._is_ready() else None

    def _is_ready(self) -> bool:
        return self._life.state is State.READY

    def _launch(self) -> None:
        self._life = life.started(self._life, self._clock.monotonic_ns())
        self._starts += 1
        self._opened.clear()
        try:
            self._process = FunctionProcess(
                self._sources, self._limits, without_seccomp=self._rules.without_seccomp
            )
        except Unavailable as error:
            self._failed(str(error))

    def _loaded(self, process: FunctionProcess) -> None:
        now_ns = self._clock.monotonic_ns()
        self._life = life.loaded(self._life, now_ns)
        # The start is ours to pay.
        self._cpu_seen_ns = process.cpu_ns()
        self._budget = CpuBudget.full(self._limits, now_ns)
        missing = walls.missing(process.walls)
        self._walls_missing = missing
        _LOG.info(
            "functions_started",
            campaign=self._campaign,
            functions=",".join(self._sources),
            enforced=",".join(name for name in process.walls if name not in missing),
            memory_max_mb=self._limits.memory_max_bytes // MIB,
        )
        for name, why in missing.items():
            _LOG.warning("functions_wall_missing", campaign=self._campaign, wall=name, why=why)

    def _charge(self, process: FunctionProcess) -> None:
        cpu_ns = process.cpu_ns()
        used_ns, self._cpu_seen_ns = cpu_ns - self._cpu_seen_ns, cpu_ns
        self._budget = self._budget.after(used_ns, self._clock.monotonic_ns())
        self._cpu_ns += used_ns

    def _count_errors(self, name: str, results: Results) -> None:
        if not results.errors:
            self._errors_in_a_row.pop(name, None)
            return
        self._errors += results.errors
        self._error = results.error
        all_failed = results.errors == len(results.values)
        before = self._errors_in_a_row.get(name, 0) if all_failed else 0
        self._errors_in_a_row[name] = before + results.errors
        if before + results.errors >= ERRORS_MAX and all_failed:
            why = f"{before + results.errors} calls in a row failed, the last so: {results.error}"
            self._refusals[name] = why
            _LOG.warning("function_given_up", campaign=self._campaign, function=name, why=why)

    def _failed(self, reason: str) -> None:
        self._end()
        self._life = life.failed(self._life, self._clock.monotonic_ns(), reason)
        event = "functions_given_up" if self._life.state is State.GIVEN_UP else "functions_failed"
        _LOG.warning(event, campaign=self._campaign, why=self._life.reason)

    def _refused(self, reason: str) -> None:
        self._end()
        self._life = life.refused(self._life, self._clock.monotonic_ns(), reason)
        _LOG.warning("functions_given_up", campaign=self._campaign, why=reason)

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._printed = self._process.printed
            self._process = None

    def _undefined(self, rows: int) -> Results:
        self._undefined_calls += rows
        return Results((None,) * rows)
