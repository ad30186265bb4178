"""A campaign: what to collect, when, how much may wait and how much may be sent.

    start .. expiry    when > trigger > collect (history, and after) > event > partition > budget > uplink

The nouns are those of AWS IoT FleetWise's campaign documents (document.py reads and writes them), with
extensions of ours in one table of their own.

Rule 1: a field that a document may leave out is None when it was left out, so that a document goes out as it
        came in; what counts then is said by the property beside it.
Rule 2: a campaign is a value: vehicle and cloud name the same content alike (`sync_id`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

# What FleetWise's agent keeps of a signal when a campaign does not say.
MAX_SAMPLES_DEFAULT = 1000
# FleetWise's documents have no field for the window of last_window_avg and its like; its own tests use this.
WINDOW_MS_DEFAULT = 1000
# FleetWise: numbers are equal when they differ by less.
EQUALITY_TOLERANCE_DEFAULT = 0.001
PRIORITY_DEFAULT = 0  # the highest
# A partition that does not say how large it may grow; FleetWise's agent takes 512 KiB.
PARTITION_MAX_BYTES_DEFAULT = 512 * 1024


class TriggerMode(StrEnum):
    """When a condition that is true triggers."""

    ALWAYS = "ALWAYS"  # each time the minimum interval has passed
    RISING_EDGE = "RISING_EDGE"  # when it was not true before


class DiagnosticsMode(StrEnum):
    """What goes with an event of the vehicle's trouble codes."""

    OFF = "OFF"
    SEND_ACTIVE_DTCS = "SEND_ACTIVE_DTCS"


class SpoolingMode(StrEnum):
    """Whether events outlive a restart of the agent."""

    OFF = "OFF"
    TO_DISK = "TO_DISK"


class Compression(StrEnum):
    """How events travel on FleetWise's wire; ours always compresses."""

    OFF = "OFF"
    SNAPPY = "SNAPPY"


@dataclass(frozen=True, slots=True)
class TimeBased:
    """An event every so often."""

    period_ms: int


@dataclass(frozen=True, slots=True)
class ConditionBased:
    """An event when a condition is true."""

    expression: str
    min_interval_ms: int | None = None
    trigger_mode: TriggerMode | None = None
    language_version: int | None = None


@dataclass(frozen=True, slots=True)
class SignalToCollect:
    """One signal, or all that a name with `*` fits."""

    name: str
    max_samples: int | None = None  # the newest so many go into an event
    min_interval_ms: int | None = None  # samples that come sooner after the one before are left out
    partition: str | None = None


class SizeUnit(StrEnum):
    """Units of a partition's size; FleetWise counts in powers of 1,024."""

    MB = "MB"
    GB = "GB"
    TB = "TB"


class AgeUnit(StrEnum):
    """Units of a partition's age."""

    HOURS = "HOURS"
    DAYS = "DAYS"
    WEEKS = "WEEKS"


_BYTES = {SizeUnit.MB: 1 << 20, SizeUnit.GB: 1 << 30, SizeUnit.TB: 1 << 40}
_SECONDS = {AgeUnit.HOURS: 3_600, AgeUnit.DAYS: 86_400, AgeUnit.WEEKS: 604_800}


@dataclass(frozen=True, slots=True)
class Partition:
    """Where a part of a campaign's events waits, and when it may go."""

    id: str
    size: int
    size_unit: SizeUnit
    location: str
    age: int
    age_unit: AgeUnit
    upload: str | None = (
        None  # a condition: what waits is sent while it is true; None: on request only
    )
    upload_language_version: int | None = None

    @property
    def max_bytes(self) -> int:
        """How much may wait."""
        return self.size * _BYTES[self.size_unit]

    @property
    def max_age_s(self) -> int:
        """What has waited longer is given up."""
        return self.age * _SECONDS[self.age_unit]


@dataclass(frozen=True, slots=True)
class TimedFetch:
    """Ask every so often."""

    period_ms: int


@dataclass(frozen=True, slots=True)
class ConditionalFetch:
    """Ask when a condition is true."""

    expression: str
    trigger_mode: TriggerMode


@dataclass(frozen=True, slots=True)
class SignalToFetch:
    """A signal that nobody sends unasked: its values are the answers to `actions`."""

    name: str
    when: TimedFetch | ConditionalFetch
    actions: tuple[str, ...]
    language_version: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bytes a campaign may send from one vehicle, as they leave it; None: as many as there are."""

    max_bytes: int | None = None  # in all
    max_bytes_per_day: int | None = None  # UTC days
    max_metered_bytes_per_day: int | None = None  # of them over networks that are paid by the byte


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a campaign's own, in Python: custom_function('python', 'name', ...) calls `invoke`."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Extensions:
    """What FleetWise has no word for; all of it optional."""

    equality_tolerance: float | None = None
    window_ms: int | None = None
    batch_max_samples: int | None = None  # larger batches cost fewer bytes, smaller ones less delay
    batch_max_age_ms: int | None = None
    budget: Budget = field(default_factory=Budget)
    functions: tuple[Function, ...] | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign, complete and checked."""

    name: str
    scheme: TimeBased | ConditionBased
    signals: tuple[SignalToCollect, ...] | None = None
    start_time_ns: int | None = None  # wall clock
    expiry_time_ns: int | None = None
    post_trigger_ms: int | None = None
    diagnostics: DiagnosticsMode | None = None
    spooling: SpoolingMode | None = None
    compression: Compression | None = None
    priority: int | None = None
    partitions: tuple[Partition, ...] | None = None
    fetches: tuple[SignalToFetch, ...] | None = None
    extensions: Extensions | None = None
    # What concerns the cloud alone (target, description, destinations ...), as it came: JSON by field.
    cloud_only: tuple[tuple[str, str], ...] = ()

    @property
    def effective_priority(self) -> int:
        """What goes first: the lower number."""
        return PRIORITY_DEFAULT if self.priority is None else self.priority

    @property
    def min_interval_ms(self) -> int:
        """How far two triggers are apart at least."""
        if isinstance(self.scheme, TimeBased):
            return self.scheme.period_ms
        return self.scheme.min_interval_ms or 0

    @property
    def trigger_mode(self) -> TriggerMode:
        """When the condition triggers."""
        if isinstance(self.scheme, TimeBased):
            return TriggerMode.ALWAYS
        return self.scheme.trigger_mode or TriggerMode.ALWAYS

    @property
    def equality_tolerance(self) -> float:
        """Numbers that differ by less are equal in its conditions."""
        said = self.extensions.equality_tolerance if self.extensions else None
        return EQUALITY_TOLERANCE_DEFAULT if said is None else said

    @property
    def window_ms(self) -> int:
        """How long the windows of its conditions are."""
        said = self.extensions.window_ms if self.extensions else None
        return WINDOW_MS_DEFAULT if said is None else said

    @property
    def budget(self) -> Budget:
        """What it may send."""
        return self.extensions.budget if self.extensions else Budget()

    @property
    def sends_dtcs(self) -> bool:
        """Whether active trouble codes go with its events."""
        return self.diagnostics is DiagnosticsMode.SEND_ACTIVE_DTCS

    @property
    def is_spooled(self) -> bool:
        """Whether its events outlive a restart; partitions always do."""
        return self.spooling is SpoolingMode.TO_DISK or bool(self.partitions)

    def partition_of(self, signal: SignalToCollect) -> Partition | None:
        """Return where samples of `signal` wait; None: with those that go at once."""
        return next((one for one in self.partitions or () if one.id == signal.partition), None)
