"""Groups of messages from many vehicles: read together, claimed together, inserted together, answered together.

    prepare(messages) -> Group         dictionaries kept, batches claimed, doubts settled, columns read
    store(group)      -> Outcomes      rows durable, ledger settled, receipts ready

Rule 1: a batch is answered STORED only after `TelemetryStore.append` returned.
Rule 2: a batch is inserted only under a claim, and a claim that may be somebody's leftover is first held
against the store.
Rule 3: whatever a store cannot do now is answered BUSY and changes nothing: the vehicle keeps the batch.
Rule 4: `prepare` and `store` may run in two threads, one call each at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairway.errors import BadInput, FairwayError, Unavailable
from fairway.signals import SignalTable
from fairway.telemetry import Dictionary, Outcome, Receipt, SealedBatch
from fleet_cloud.ingest.accept import Parsed, Rejected, columns_of_each
from fleet_cloud.ingest.ports import AcceptedBatch, Answer, Fault, Message, TelemetryStore
from fleet_cloud.ingest.records import (
    BatchKey,
    Claimant,
    Collected,
    Dictionaries,
    DictionaryKey,
    Ledger,
    Misfit,
    Quarantine,
    Standing,
)
from fleet_cloud.ingest.status import Counts
from fleet_cloud.ingest.tables import Arrived, Tables

# Misfits kept of one group: a defective fleet is studied from a few of its messages, and the registry is
# not to be slowed by it.  A batch beyond is answered BUSY and comes again.
MISFITS_MAX_PER_GROUP = 64

# A batch that somebody else is storing is settled within one group commit.
HELD_RETRY_MS = 500

# A store that fails is asked again soon at first, then seldom: a full disk takes a person to clear.
FAILED_RETRY_MIN_MS = 1_000
FAILED_RETRY_MAX_MS = 30_000


# A group that waited longer than one such part of its lease is given back; the rest is for its insert.
WAIT_MAX_PART = 4


@dataclass(slots=True, eq=False)
class Pending:
    """A batch on its way through a group, with every message that carried it."""

    tenant: str
    sealed: SealedBatch
    messages: list[Message]

    @property
    def dictionary(self) -> DictionaryKey:
        """The dictionary it is to be read with."""
        return DictionaryKey(self.tenant, self.sealed.dictionary_id)

    @property
    def collected(self) -> Collected | None:
        """What it brings to a campaign; None: it is of none."""
        part, message = self.sealed.campaign, self.messages[0]
        if part is None:
            return None
        return Collected(part, self.sealed.samples, len(message.data), message.received_time_ns)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Batches that are claimed and read; `answers` are those already decided."""

    batches: tuple[AcceptedBatch, ...]
    pending: Mapping[BatchKey, Pending]
    claimed_time_ns: int
    answers: tuple[Answer, ...]
    counts: Counts
    failure: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What became of a group."""

    answers: tuple[Answer, ...]
    stored: tuple[AcceptedBatch, ...]
    counts: Counts
    failure: str = ""


@dataclass(slots=True, eq=False)
class _Draft:
    """A group while it is being prepared."""

    now_ns: int
    answers: list[Answer] = field(default_factory=list)
    misfits: list[tuple[Misfit, list[Message]]] = field(default_factory=list)
    pending: dict[BatchKey, Pending] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    failure: str = ""

    def add(self, counts: Counts) -> None:
        self.counts = self.counts + counts

    def answer(self, pending: Pending, outcome: Outcome, **more: str | int) -> None:
        self.answers += _answers(pending, outcome, **more)


class Groups:
    """Carries groups from parsed messages to durable rows."""

    def __init__(
        self,
        *,
        store: TelemetryStore,
        ledger: Ledger,
        dictionaries: Dictionaries,
        quarantine: Quarantine,
        claims: Callable[[int], Claimant],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._quarantine = quarantine
        self._tables = Tables(dictionaries)
        self._claims = claims
        self._in_flight: set[BatchKey] = set()
        self._unsettled: dict[BatchKey, Pending] = {}  # stored, while the ledger did not answer
        self._failures = 0  # groups in a row that the stores could not take

    @property
    def _retry_ms(self) -> int:
        # A million failures are as many as sixteen.
        return int(min(FAILED_RETRY_MAX_MS, FAILED_RETRY_MIN_MS * 2 ** min(self._failures, 16)))

    def prepare(self, parsed: Sequence[Parsed], now_ns: int) -> Group:
        """Claim and read what `parsed` holds."""
        draft = _Draft(now_ns)
        draft.add(
            Counts(messages=len(parsed), bytes=sum(len(item.message.data) for item in parsed))
        )
        dictionaries = self._sort(parsed, draft)
        batches: list[AcceptedBatch] = []
        try:
            draft.add(Counts(dictionaries=self._tables.keep(dictionaries)))
            tables = self._tables.load({p.dictionary for p in draft.pending.values()})
            self._drop_unknown(tables, draft)
            self._claim(draft)
            batches = self._read(tables, draft)
        except Unavailable as error:
            self._give_back(draft, error)
        self._keep_misfits(draft)
        self._in_flight.update(draft.pending)
        return Group(
            tuple(batches),
            draft.pending,
            now_ns,
            tuple(draft.answers),
            draft.counts,
            draft.failure,
        )

    def store(self, group: Group, now_ns: int) -> Outcomes:
        """Make the rows of `group` durable, settle them, and say what to answer."""
        try:
            return self._stored(group, now_ns)
        finally:
            self._in_flight.difference_update(group.pending)

    def _sort(self, parsed: Sequence[Parsed], draft: _Draft) -> dict[DictionaryKey, Arrived]:
        dictionaries: dict[DictionaryKey, Arrived] = {}
        for item in parsed:
            match item.content:
                case Dictionary() as dictionary:
                    message = item.message
                    key = DictionaryKey(item.tenant, dictionary.id)
                    dictionaries[key] = Arrived(dictionary, message.vehicle, message.data)
                    draft.answers.append(Answer(item.message))
                case SealedBatch() as sealed if (
                    BatchKey(item.tenant, sealed.name) in self._in_flight
                ):
                    draft.answer(
                        Pending(item.tenant, sealed, [item.message]),
                        Outcome.BUSY,
                        retry_after_ms=HELD_RETRY_MS,
                    )
                    draft.add(Counts(busy=1))
                case SealedBatch() as sealed:
                    entry = draft.pending.setdefault(
                        BatchKey(item.tenant, sealed.name), Pending(item.tenant, sealed, [])
                    )
                    entry.messages.append(item.message)
                case Rejected() as rejected:
                    self._reject(item, rejected, draft)
        return dictionaries

    def _reject(self, item: Parsed, rejected: Rejected, draft: _Draft) -> None:
        message = item.message
        is_denied = rejected.fault is Fault.DENIED
        draft.add(Counts(denied=int(is_denied), unreadable=int(not is_denied)))
        if rejected.name is None:
            draft.answers.append(Answer(message, fault=rejected.fault, reason=rejected.reason))
        if rejected.quarantine:
            misfit = Misfit(
                item.tenant,
                message.vehicle,
                rejected.reason,
                message.received_time_ns,
                message.data,
                rejected.name,
            )
            draft.misfits.append((misfit, [message] if rejected.name else []))

    def _drop_unknown(self, tables: Mapping[DictionaryKey, SignalTable], draft: _Draft) -> None:
        for key, entry in list(draft.pending.items()):
            if entry.dictionary not in tables:
                draft.answer(draft.pending.pop(key), Outcome.UNKNOWN_DICTIONARY)
                draft.add(Counts(unknown_dictionary=1))

    def _claim(self, draft: _Draft) -> None:
        if not draft.pending:
            return
        claimant = self._claims(draft.now_ns)
        standings = self._ledger.claim(list(draft.pending), claimant)
        doubtful = [key for key, stands in standings.items() if stands is Standing.DOUBTFUL]
        inserted = self._inserted(doubtful)
        if inserted:
            found = {key: draft.pending[key] for key in sorted(inserted)}
            self._ledger.settle(list(found), claimant, _collected(found))
        for key, stands in standings.items():
            if stands is Standing.STORED or key in inserted:
                draft.answer(draft.pending.pop(key), Outcome.DUPLICATE)
                draft.add(Counts(duplicates=1))
            elif stands is Standing.HELD:
                entry = draft.pending.pop(key)
                draft.answer(entry, Outcome.BUSY, retry_after_ms=HELD_RETRY_MS)
                draft.add(Counts(busy=1))

    def _inserted(self, keys: Sequence[BatchKey]) -> set[BatchKey]:
        streams: dict[tuple[str, str, str], list[BatchKey]] = {}
        for key in keys:
            stream = (key.tenant, key.name.vehicle, key.name.stream)
            streams.setdefault(stream, []).append(key)
        inserted = set[BatchKey]()
        for stream, of_it in streams.items():
            stored = self._store.stored(*stream, [key.name.sequence for key in of_it])
            inserted.update(key for key in of_it if key.name.sequence in stored)
        return inserted

    def _read(
        self, tables: Mapping[DictionaryKey, SignalTable], draft: _Draft
    ) -> list[AcceptedBatch]:
        batches = []
        refused = []
        entries = list(draft.pending.items())
        blocks = columns_of_each([(entry.sealed, tables[entry.dictionary]) for _, entry in entries])
        for (key, entry), block in zip(entries, blocks, strict=True):
            first = entry.messages[0]
            if isinstance(block, str):
                refused.append(key)
                misfit = _misfit(key, block, first)
                draft.misfits.append((misfit, draft.pending.pop(key).messages))
            else:
                batches.append(AcceptedBatch(key.tenant, key.name, block, first.received_time_ns))
        if refused:
            self._ledger.release(refused, self._claims(draft.now_ns))
        return batches

    def _give_back(self, draft: _Draft, error: Unavailable) -> None:
        """Answer BUSY to all that is left: a claim already made turns doubtful and is resolved later."""
        self._failures += 1
        draft.failure = str(error)
        for entry in draft.pending.values():
            draft.answer(entry, Outcome.BUSY, retry_after_ms=self._retry_ms)
        draft.add(Counts(busy=len(draft.pending)))
        draft.pending.clear()

    def _keep_misfits(self, draft: _Draft) -> None:
        kept = draft.misfits[:MISFITS_MAX_PER_GROUP]
        spared = draft.misfits[MISFITS_MAX_PER_GROUP:]
        try:
            if kept:
                self._quarantine.keep([misfit for misfit, _ in kept])
        except Unavailable as error:
            draft.failure = str(error)
            kept, spared = [], draft.misfits
        draft.add(Counts(quarantined=len(kept)))
        for misfit, messages in kept:
            receipt = _receipt(misfit, Outcome.REFUSED, reason=misfit.reason)
            draft.answers += [Answer(message, receipt) for message in messages]
            draft.add(Counts(refused=int(receipt is not None)))
        for misfit, messages in spared:
            receipt = _receipt(misfit, Outcome.BUSY, retry_after_ms=self._retry_ms)
            draft.answers += [Answer(message, receipt) for message in messages]
            draft.add(Counts(busy=int(receipt is not None)))

    def _stored(self, group: Group, now_ns: int) -> Outcomes:
        claimant = self._claims(now_ns)
        if now_ns - group.claimed_time_ns > claimant.lease_ns // WAIT_MAX_PART:
            # Waited so long that the insert might outlive the claim: let another process take the batches over.
            return self._failed(group, "the store has fallen behind: claims ran out while waiting")
        refused: dict[BatchKey, str] = {}
        try:
            self._store.append(group.batches)
        except BadInput as error:
            if len(group.batches) > 1:
                return self._in_halves(group, now_ns)
            refused = {batch.key: str(error) for batch in group.batches}
        except FairwayError as error:
            return self._failed(group, str(error))
        if refused:
            return self._refused(group, refused, claimant)
        self._failures = 0
        failure = ""
        stored = self._unsettled | {b.key: group.pending[b.key] for b in group.batches}
        try:
            self._ledger.settle(list(stored), claimant, _collected(stored))
            self._unsettled = {}
        except Unavailable as error:
            # The rows are durable, which is what a receipt says.  Should this process end before the ledger
            # answers again, the store's own word resolves the claims when one of the batches comes again.
            self._unsettled = stored
            failure = str(error)
        answers = [
            answer
            for batch in group.batches
            for answer in _answers(group.pending[batch.key], Outcome.STORED)
        ]
        samples = sum(len(batch.block) for batch in group.batches)
        counts = Counts(batches=len(group.batches), samples=samples)
        return Outcomes(tuple(answers), group.batches, counts, failure)

    def _failed(self, group: Group, why: str) -> Outcomes:
        self._failures += 1
        answers = [
            answer
            for batch in group.batches
            for answer in _answers(
                group.pending[batch.key], Outcome.BUSY, retry_after_ms=self._retry_ms
            )
        ]
        return Outcomes(tuple(answers), (), Counts(busy=len(group.batches)), why)

    def _in_halves(self, group: Group, now_ns: int) -> Outcomes:
        """Close in on the batch that the store will never take, so that it does not hold up the others."""
        middle = len(group.batches) // 2
        first = self._stored(replace(group, batches=group.batches[:middle]), now_ns)
        second = self._stored(replace(group, batches=group.batches[middle:]), now_ns)
        return Outcomes(
            first.answers + second.answers,
            first.stored + second.stored,
            first.counts + second.counts,
            first.failure or second.failure,
        )

    def _refused(
        self, group: Group, reasons: Mapping[BatchKey, str], claimant: Claimant
    ) -> Outcomes:
        draft = _Draft(claimant.now_ns)
        for key, reason in reasons.items():
            messages = group.pending[key].messages
            misfit = _misfit(key, reason, messages[0])
            draft.misfits.append((misfit, messages))
        self._keep_misfits(draft)
        try:
            self._ledger.release(list(reasons), claimant)
        except Unavailable as error:
            draft.failure = str(error)
        return Outcomes(tuple(draft.answers), (), draft.counts, draft.failure)


def _collected(pending: Mapping[BatchKey, Pending]) -> dict[BatchKey, Collected]:
    return {key: one for key, entry in pending.items() if (one := entry.collected) is not None}


def _answers(pending: Pending, outcome: Outcome, **more: str | int) -> list[Answer]:
    name = pending.sealed.name
    receipt = Receipt(name.stream, name.sequence, outcome, **more)  # type: ignore[arg-type]
    return [Answer(message, receipt) for message in pending.messages]


def _misfit(key: BatchKey, reason: str, message: Message) -> Misfit:
    time_ns = message.received_time_ns
    return Misfit(key.tenant, key.name.vehicle, reason, time_ns, message.data, key.name)


def _receipt(
    misfit: Misfit, outcome: Outcome, *, reason: str = "", retry_after_ms: int = 0
) -> Receipt | None:
    if misfit.name is None:
        return None
    return Receipt(misfit.name.stream, misfit.name.sequence, outcome, reason, retry_after_ms)
