"""A campaign tried on stored drives, before a vehicle has it: what it would trigger, send and cost.

    catalogue + what is stored  >  signals needed  >  rows  >  drives  >  fairway.dry_run  >  Trial

Rule 1: only what nobody collected for a campaign is driven over (or one stream alone): the same sample that
        came in several streams would count several times.
Rule 2: what makes a prediction inexact stands in its notes, and what was never stored is named.
Rule 3: the cloud runs no code of campaigns: those that bring functions are refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fairway.campaign.document import sync_id
from fairway.campaign.functions import MULTI_RISING_EDGE_TRIGGER
from fairway.campaign.model import Campaign
from fairway.campaign.plan import plan
from fairway.clock import NS_PER_S, Clock
from fairway.dry_run import DryRun
from fairway.errors import BadInput, Unavailable
from fairway.expression.campaign import Custom, Read, walk
from fairway.ids import stream_id
from fairway.prediction import Assumptions, Prediction, added
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fleet_cloud.audit.acts import Act
from fleet_cloud.campaigns.check import Prepared, prepare
from fleet_cloud.campaigns.ports import (
    Catalogues,
    ProgressReader,
    Said,
)
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.vehicles.drives import ROWS_MAX, DriveReader, DriveSpan, drives
from fleet_cloud.vehicles.telemetry import LatestValue, TelemetryReader

# Enough to see how kinds of vehicles differ, and half a minute's work.
VEHICLES_MAX = 10
# What a vehicle does in a month is asked, so a month of drives is enough to answer it.
SPAN_MAX_DAYS = 31
# Whoever waits for an answer gives up sooner than after a minute.
TRIAL_MAX_S = 30
# Named in a note; of more, the number.
NAMED_MAX = 20

_THINNED = (
    "the samples are those that the vehicle's standing collection stored: where it thins them out, conditions"
    " see fewer changes and events have fewer samples than in the vehicle"
)


class Store(TelemetryReader, DriveReader, Protocol):
    """What is stored of vehicles."""


@dataclass(frozen=True, slots=True)
class TrialWish:
    """On which drives a campaign is to be tried."""

    vehicles: tuple[str, ...]
    from_ns: int
    to_ns: int
    stream: str | None = None  # only what this one brought; None: what no campaign did
    assumptions: Assumptions = field(default_factory=Assumptions)

    def __post_init__(self) -> None:
        if not 1 <= len(set(self.vehicles)) == len(self.vehicles) <= VEHICLES_MAX:
            raise BadInput(f"vehicles: give 1 to {VEHICLES_MAX} different ones")
        if self.from_ns >= self.to_ns:
            raise BadInput("from is not before to: swap them, or choose a longer span")
        if self.to_ns - self.from_ns > SPAN_MAX_DAYS * 86_400 * NS_PER_S:
            raise BadInput(f"from and to are more than {SPAN_MAX_DAYS} days apart")
        if not 0 < self.assumptions.hours_per_month <= 744:
            raise BadInput("hoursPerMonth: a month has 744 hours at most, and more than 0")
        if self.stream is not None:
            stream_id(self.stream)


def act_of(tenant: str, campaign: Campaign, wish: TrialWish, *, actor: str) -> Act:
    """Return what the audit log keeps of a dry run: whose drives somebody looked at."""
    details = {
        "vehicles": " ".join(wish.vehicles),
        "from_ns": str(wish.from_ns),
        "to_ns": str(wish.to_ns),
    }
    return Act("campaign.dry-run", actor, f"campaign:{campaign.name}", tenant, details=details)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a campaign would have done in one vehicle."""

    vehicle: str
    rows: int  # how many stored samples it was tried on
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Trial:
    """What a campaign would have done: in each vehicle, and in all together."""

    prediction: Prediction
    vehicles: tuple[Tried, ...]


class Trials:
    """Tries campaigns on what is stored."""

    def __init__(
        self,
        store: Store,
        said: Said,
        catalogues: Catalogues,
        progress: ProgressReader,
        clock: Clock,
    ) -> None:
        self._store, self._said, self._catalogues = store, said, catalogues
        self._progress, self._clock = progress, clock

    def run(self, tenant: str, campaign: Campaign, wish: TrialWish) -> Trial:
        """Try `campaign` on drives of vehicles of `tenant`.

        Raises BadInput for an expression that cannot be read or drives that are too long, Unavailable when it
        takes longer than TRIAL_MAX_S.
        """
        prepared = prepare(campaign)
        until_ns = self._clock.monotonic_ns() + TRIAL_MAX_S * NS_PER_S
        tried: list[Tried] = []
        for vehicle in wish.vehicles:
            rows_left = ROWS_MAX - sum(one.rows for one in tried)
            where = Vehicle(tenant, vehicle)
            tried.append(self._tried(where, (campaign, prepared), wish, until_ns, rows_left))
        return Trial(added([one.prediction for one in tried]), tuple(tried))

    def _tried(
        self,
        vehicle: Vehicle,
        what: tuple[Campaign, Prepared],
        wish: TrialWish,
        until_ns: int,
        rows_max: int,
    ) -> Tried:
        campaign, prepared = what
        if refusal := _refusal(prepared, campaign):
            refused = Prediction(campaign.name, sync_id(campaign), campaign.budget, refused=refusal)
            return Tried(vehicle.name, 0, refused)
        latest = self._store.latest(*vehicle)
        stored = {one.signal for one in latest}
        table = _table(self._catalogue(vehicle), latest)
        needed = _needed(campaign, prepared, table)
        rows = self._store.rows(
            DriveSpan(
                *vehicle,
                table,
                tuple(sorted(needed & stored)),
                wish.from_ns,
                wish.to_ns,
                None if wish.stream is None else (wish.stream,),
                () if wish.stream else tuple(self._progress.every_stream(*vehicle)),
            ),
            limit=rows_max,
        )
        trial = DryRun(table, [campaign], vehicle=vehicle.name, assumptions=wish.assumptions)
        for drive in drives(rows):
            trial.drive(self._in_time(drive, until_ns))
        (prediction,) = trial.predictions
        prediction.notes += tuple(_notes(wish, rows, sorted(needed - stored), vehicle.name))
        return Tried(vehicle.name, len(rows), prediction)

    def _catalogue(self, vehicle: Vehicle) -> SignalTable | None:
        told = self._said.check_in(vehicle)
        if told is None or not told.check_in.catalogue_id:
            return None
        return self._catalogues.table(vehicle.tenant, told.check_in.catalogue_id)

    def _in_time(self, blocks: Iterable[SampleBlock], until_ns: int) -> Iterator[SampleBlock]:
        for block in blocks:
            if self._clock.monotonic_ns() > until_ns:
                raise Unavailable(
                    f"the dry run has taken {TRIAL_MAX_S} s and is not done: choose a shorter span or fewer"
                    " vehicles"
                )
            yield block


def _refusal(prepared: Prepared, campaign: Campaign) -> str:
    """Return why a campaign cannot be tried here; "" when it can."""
    for path, parsed in prepared.expressions:
        if ".actions[" in path:  # asked of the vehicle's ECUs: counted, and not evaluated
            continue
        for node, _ in walk(parsed.tree):
            if not isinstance(node, Read) or not isinstance(node.input, Custom):
                continue
            if node.input.name != MULTI_RISING_EDGE_TRIGGER:
                return (
                    f"{campaign.name}: {path}: the cloud runs no custom function such as"
                    f" {node.input.name!r:.80}: try it with `edge-agent campaign dry-run` on a recorded drive"
                )
    return ""


def _table(catalogue: SignalTable | None, latest: Sequence[LatestValue]) -> SignalTable:
    """Return what the vehicle can collect, and what it once could and is stored."""
    known = tuple(catalogue or ())
    names = {signal.name for signal in known}
    return SignalTable(
        (
            *known,
            *(
                Signal(one.signal, _kind(one.value), one.unit)
                for one in latest
                if one.signal not in names
            ),
        )
    )


def _kind(value: float | bool | str) -> Kind:  # noqa: FBT001 - a value
    if isinstance(value, str):
        return Kind.TEXT
    return Kind.BOOL if isinstance(value, bool) else Kind.NUMBER


def _needed(campaign: Campaign, prepared: Prepared, table: SignalTable) -> frozenset[str]:
    """Return the signals that a campaign collects or asks; of one that is refused, those it names."""
    named = prepared.needed | {name for name in prepared.collected if "*" not in name}
    try:
        found = plan(campaign, table, lambda _campaign, name: name == MULTI_RISING_EDGE_TRIGGER)
    except BadInput:
        return frozenset()
    collected = {one.name for one in found.collected}
    return (named | collected | {name for name, _ in found.asked}) - prepared.fetched


def _notes(wish: TrialWish, rows: SampleBlock, never: Sequence[str], vehicle: str) -> Iterator[str]:
    yield (
        _THINNED
        if wish.stream is None
        else f"the samples are those that the stream {wish.stream} brought"
    )
    if never:
        more = f" and {len(never) - NAMED_MAX} more" if len(never) > NAMED_MAX else ""
        yield f"of {vehicle} nothing was ever stored of {', '.join(never[:NAMED_MAX])}{more}"
    if not len(rows):
        yield f"of {vehicle} nothing of what the campaign needs is stored in this span"
