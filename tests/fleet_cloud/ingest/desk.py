"""Ingest on a desk: real decisions over memory stores, some of which fail when told to."""

from collections.abc import Sequence

import numpy as np

from fairway.errors import BadInput, Unavailable
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch, Outcome
from fairway.wire.telemetry import batch_to_bytes, dictionary_of, dictionary_to_bytes
from fleet_cloud.adapters.memory import MemoryStore, memory_registry
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.ingest.accept import parse
from fleet_cloud.ingest.groups import Groups
from fleet_cloud.ingest.ports import AcceptedBatch, Answer, Fault, Message
from fleet_cloud.ingest.records import Claimant
from fleet_cloud.ingest.status import Counts
from fleet_cloud.ingest.watch import Watch

S = 1_000_000_000
NOW = 1_700_000_000 * S
STREAM = "00000000000000aa"
TABLE = SignalTable((Signal("Vehicle.Speed", unit="km/h", scale=0.01), Signal("Gear", Kind.TEXT)))
DICTIONARY = dictionary_of(TABLE)
DICTIONARY_BYTES = dictionary_to_bytes(DICTIONARY)
TENANTS = {"VIN1": "default", "VIN2": "default"}


def block(samples: int = 3) -> SampleBlock:
    return SampleBlock(
        TABLE,
        np.zeros(samples, np.int32),
        NOW + np.arange(samples, dtype=np.int64) * 1_000_000,
        np.arange(samples, dtype=np.float64) * 0.01,
    )


def batch_bytes(sequence: int, *, vehicle: str = "VIN1", samples: int = 3) -> bytes:
    name = BatchName(vehicle, STREAM, sequence)
    return batch_to_bytes(Batch(name, DICTIONARY.id, block(samples), NOW))


class WilfulStore(MemoryStore):
    """A store that fails on command: before or after it has stored, or for one batch for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = ""  # "before": nothing was stored; "after": everything was
        self.never_takes: set[BatchName] = set()
        self.asked = 0  # how often it was given something

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        self.asked += 1
        if self.fails == "before":
            raise Unavailable("the disk is full")
        for batch in batches:
            if batch.name in self.never_takes:
                raise BadInput(f"batch {batch.name} does not fit")
        super().append(batches)
        if self.fails == "after":
            raise Unavailable("the connection was lost")


class Shelf:
    """A door that keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answer(self, answers: Sequence[Answer]) -> None:
        self.answers += answers


class Desk:
    """One ingest process over its own or somebody else's stores."""

    def __init__(self, *, owner: str = "us", beside: "Desk | None" = None) -> None:
        self.store: WilfulStore = beside.store if beside else WilfulStore()
        self.registry: Registry = beside.registry if beside else memory_registry()
        self.door = Shelf()
        self.counts = Counts()
        self.now_ns = NOW
        watch = Watch()
        self.groups = Groups(
            store=self.store,
            ledger=self.registry.ledger,
            dictionaries=self.registry.dictionaries,
            quarantine=self.registry.quarantine,
            claims=lambda now_ns: Claimant(owner, now_ns, lease_ns=30 * S, watch=watch),
        )

    def prepare(self, *data: bytes, vehicle: str = "VIN1"):
        """Read and claim, without storing yet."""
        messages = [Message(vehicle, item, self.now_ns, self.door) for item in data]
        parsed = [parse(message, TENANTS) for message in messages]
        group = self.groups.prepare(parsed, self.now_ns)
        self.counts = self.counts + group.counts
        self.door.answer(group.answers)
        return group

    def finish(self, group) -> None:
        """Store what was prepared."""
        outcomes = self.groups.store(group, self.now_ns)
        self.counts = self.counts + outcomes.counts
        self.door.answer(outcomes.answers)

    def take(self, *data: bytes, vehicle: str = "VIN1") -> list[Outcome | Fault | None]:
        """Carry messages through, and return what each answer of this group said."""
        before = len(self.door.answers)
        group = self.prepare(*data, vehicle=vehicle)
        if group.batches:
            self.finish(group)
        return [
            answer.receipt.outcome if answer.receipt else answer.fault
            for answer in self.door.answers[before:]
        ]
