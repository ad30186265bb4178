"""The custom functions of all campaigns: a process for each that brings Python, and the agent's own.

    'python'        the process of its campaign        (function_group.py)
    'counter'       here                               (native.py)
    'file_size'     here, for what is allowed

Rule 1: a process starts when its first function is called; until it is ready, calls are undefined.
Rule 2: there are at most PROCESSES_MAX processes; a campaign beyond is refused with a sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge_agent import config
from edge_agent.adapters.file_sizes import AllowedFileSizes
from edge_agent.adapters.function_group import UNHURRIED, FunctionGroup, Rules
from edge_agent.functions import native
from edge_agent.functions.calls import PYTHON, Target, target
from edge_agent.functions.life import State
from edge_agent.functions.limits import MIB, PLACES_MAX, PROCESSES_MAX, Limits
from edge_agent.functions.messages import Results, Row, Value
from edge_agent.functions.native import COUNTER, FILE_SIZE, Counters, FileSizes
from edge_agent.functions.report import Report
from fairway.campaign.functions import Answer, Invocation
from fairway.campaign.model import Campaign
from fairway.clock import NS_PER_MS, Clock
from fairway.errors import BadInput, Denied, Unavailable

_NO_TEXTS: Mapping[str, str] = {}


class _Known:
    """What is kept of one campaign."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources
        self.group: FunctionGroup | None = None
        self.targets: dict[int, Target | None] = {}
        self.refusals: dict[str, str] = {}
        self.native = Report(state=State.READY)


class CampaignFunctions:
    """Calls the custom functions of campaigns.  Of one thread.  Close it."""

    def __init__(self, file_sizes: FileSizes, clock: Clock, rules: Rules | None = None) -> None:
        self._file_sizes = file_sizes
        self._clock = clock
        self._rules = rules or Rules()
        self._counters = Counters()
        self._campaigns: dict[str, _Known] = {}

    def knows(self, campaign: Campaign, name: str) -> bool:
        """Return whether there is a function of this name for this campaign."""
        if name == PYTHON:
            return self._rules.enabled and bool(_sources(campaign))
        return name in {COUNTER, FILE_SIZE}

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        """Return what a function makes of its arguments; an error is an answer without a value."""
        results = self.call_rows(invocation, [arguments])
        return Answer(results.values[0], results.texts.get(0, _NO_TEXTS))

    def call_rows(self, invocation: Invocation, rows: Sequence[Row]) -> Results:
        """Return what a function makes of each row: one round trip for many calls."""
        known = self._known(invocation)
        if invocation.name == PYTHON:
            return self._python(known, invocation.number, rows)
        results = self._joined([self._native(invocation, row) for row in rows])
        known.native = replace(
            known.native,
            calls=known.native.calls + len(rows),
            errors=known.native.errors + results.errors,
            error=results.error or known.native.error,
        )
        return results

    def forget(self, sync_id: str) -> None:
        """Drop what the functions of a campaign remember, and end its process."""
        known = self._campaigns.pop(sync_id, None)
        if known is not None and known.group is not None:
            known.group.close()
        self._counters.forget(sync_id)

    def advance(self) -> None:
        """Go on with starts that are under way; call it about once a second."""
        for known in self._campaigns.values():
            if known.group is not None:
                known.group.advance()

    def report(self, sync_id: str) -> Report | None:
        """Return what is known of a campaign's functions; None when none was called."""
        known = self._campaigns.get(sync_id)
        if known is None:
            return None
        report = known.group.report() if known.group is not None else known.native
        return replace(
            report,
            errors=report.errors if known.group is None else report.errors + known.native.errors,
            error=report.error or known.native.error,
            refused={**report.refused, **known.refusals},
        )

    def close(self) -> None:
        """End every process."""
        for sync_id in list(self._campaigns):
            self.forget(sync_id)

    def _known(self, invocation: Invocation) -> _Known:
        known = self._campaigns.get(invocation.sync_id)
        if known is None:
            campaign = invocation.campaign
            sources = _sources(campaign)
            known = _Known(sources)
            if sources and not self._rules.enabled:
                known.refusals[PYTHON] = "functions.enabled is false in this agent's configuration"
            elif sources and self._processes() < PROCESSES_MAX:
                known.group = FunctionGroup(campaign.name, sources, self._rules, self._clock)
            elif sources:
                known.refusals[PYTHON] = (
                    f"{PROCESSES_MAX} campaigns with functions run already, which is the limit"
                )
            self._campaigns[invocation.sync_id] = known
        return known

    def _processes(self) -> int:
        return sum(known.group is not None for known in self._campaigns.values())

    @staticmethod
    def _python(known: _Known, place: int, rows: Sequence[Row]) -> Results:
        nothing = Results((None,) * len(rows))
        if known.group is None or not rows:
            return nothing
        if place not in known.targets:
            known.targets[place] = _target(known, rows[0])
        found = known.targets[place]
        if found is None:
            return nothing
        return known.group.call(place, found.name, [row[found.skipped :] for row in rows])

    def _native(self, invocation: Invocation, row: Row) -> Results:
        name = invocation.name
        if name == COUNTER:
            return Results((self._counters.next(invocation.sync_id, invocation.number),))
        if name != FILE_SIZE:
            return Results((None,), errors=1, error=f"there is no custom function {name[:100]!r}")
        try:
            return native.file_size(row, self._file_sizes)
        except (Denied, Unavailable) as error:
            return Results((None,), errors=1, error=str(error))

    @staticmethod
    def _joined(parts: Sequence[Results]) -> Results:
        return Results(
            tuple(part.values[0] for part in parts),
            {row: part.texts[0] for row, part in enumerate(parts) if part.texts},
            sum(part.errors for part in parts),
            next((part.error for part in parts if part.error), ""),
        )


def campaign_functions(settings: config.Functions, clock: Clock) -> CampaignFunctions:
    """Return the functions of campaigns as an operator wants them."""
    limits = Limits(
        memory_max_bytes=settings.memory_max_mb * MIB,
        call_timeout_ns=settings.call_timeout_ms * NS_PER_MS,
        cpu_max_ns_per_s=settings.cpu_max_ms_per_s * NS_PER_MS,
    )
    rules = Rules(limits, enabled=settings.enabled, without_seccomp=settings.without_seccomp)
    return CampaignFunctions(AllowedFileSizes(settings.file_size_paths), clock, rules)


def trial_functions(settings: config.Functions, clock: Clock) -> CampaignFunctions:
    """Return the same for a dry run: whose drive passes faster than the clock, and nobody waits for."""
    limits = replace(UNHURRIED.limits, memory_max_bytes=settings.memory_max_mb * MIB)
    rules = replace(
        UNHURRIED,
        limits=limits,
        enabled=settings.enabled,
        without_seccomp=settings.without_seccomp,
    )
    return CampaignFunctions(AllowedFileSizes(settings.file_size_paths), clock, rules)


def _target(known: _Known, row: Row) -> Target | None:
    if len(known.targets) >= PLACES_MAX:
        known.refusals[PYTHON] = f"more than {PLACES_MAX} calls in one campaign"
        return None
    try:
        return target(row, known.sources)
    except BadInput as error:
        known.refusals[PYTHON] = str(error)
        return None


def _sources(campaign: Campaign) -> dict[str, str]:
    functions = campaign.extensions.functions if campaign.extensions else None
    return {one.name: one.source for one in functions or ()}
