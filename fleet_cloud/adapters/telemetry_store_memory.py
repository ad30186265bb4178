"""The telemetry store in memory, for trials and tests: every answer is worked out from the rows, one by one.

It is what the other stores are held against, so it is plain before it is quick.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairway.samples import Kind, SampleBlock
from fleet_cloud.adapters import clickhouse_rows
from fleet_cloud.adapters.memory import MemoryStore
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.drives import DriveSpan, checked_names, checked_rows
from fleet_cloud.vehicles.telemetry import (
    Buckets,
    LatestValue,
    Series,
    SignalSpan,
    Statistics,
    checked_bucket,
    checked_limit,
    ordered,
)


@dataclass(frozen=True, slots=True, order=True)
class _Sample:
    """One sample; they sort as rule 2 of vehicles/telemetry.py says."""

    time_ns: int
    sequence: int
    value: float
    text: str
    kind: Kind
    unit: str

    @property
    def shown(self) -> float | bool | str:
        if self.kind is Kind.TEXT:
            return self.text
        return self.value != 0.0 if self.kind is Kind.BOOL else self.value


class MemoryTelemetryStore(MemoryStore):
    """Keeps batches, and answers from them."""

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        clickhouse_rows.check(batches)
        super().append([batch for batch in batches if len(batch.block)])

    def latest(self, tenant: str, vehicle: str) -> list[LatestValue]:
        newest: dict[str, _Sample] = {}
        for signal, sample in self._samples(tenant, vehicle):
            newest[signal] = max(newest.get(signal, sample), sample)
        return ordered(
            [
                LatestValue(signal, sample.time_ns, sample.shown, sample.unit)
                for signal, sample in newest.items()
            ]
        )

    def series(self, span: SignalSpan, *, limit: int) -> Series:
        samples = self._of(span)
        page, next_ns = samples, None
        if len(samples) > checked_limit(limit):
            next_ns = samples[limit].time_ns
            page = [sample for sample in samples if sample.time_ns < next_ns]
            if not page:
                page = [sample for sample in samples if sample.time_ns == next_ns]
                next_ns += 1
        texts = tuple(sorted({sample.text for sample in page if sample.kind is Kind.TEXT}))
        return Series(
            unit=page[-1].unit if page else "",
            time_ns=np.array([sample.time_ns for sample in page], np.int64),
            value=np.array(
                [
                    texts.index(sample.text) if sample.kind is Kind.TEXT else sample.value
                    for sample in page
                ],
                np.float64,
            ),
            kind=np.array([sample.kind for sample in page], np.uint8),
            texts=texts,
            next_ns=next_ns,
        )

    def buckets(self, span: SignalSpan, *, bucket_ns: int, limit: int) -> Buckets:
        width = checked_bucket(bucket_ns)
        buckets: dict[int, list[_Sample]] = {}
        for sample in self._of(span):
            is_counted = sample.kind is not Kind.TEXT and not math.isnan(sample.value)
            if sample.time_ns >= 0 and is_counted:
                buckets.setdefault(sample.time_ns // width * width, []).append(sample)
        starts = sorted(buckets)
        page = starts[: checked_limit(limit)]
        values = [[sample.value for sample in buckets[start]] for start in page]
        return Buckets(
            unit=buckets[page[-1]][-1].unit if page else "",
            bucket_ns=width,
            start_ns=np.array(page, np.int64),
            minimum=np.array([min(of) for of in values], np.float64),
            maximum=np.array([max(of) for of in values], np.float64),
            mean=np.array([sum(of) / len(of) for of in values], np.float64),
            last=np.array([of[-1] for of in values], np.float64),
            count=np.array([len(of) for of in values], np.int64),
            next_ns=starts[limit] if len(starts) > limit else None,
        )

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        names, table = set(checked_names(span)), span.table
        rows = sorted(
            (sample.time_ns, sample.sequence, signal, sample.value, sample.text, sample.kind)
            for signal, sample in self._samples(
                span.tenant, span.vehicle, span.streams, span.but_streams
            )
            if signal in names and span.from_ns <= sample.time_ns < span.to_ns
        )
        checked_rows(len(rows), limit, span)
        kind = {name: table[table.number(name)].kind for name in names}
        rows = [row for row in rows if (row[5] is Kind.TEXT) == (kind[row[2]] is Kind.TEXT)]
        texts = {text: number for number, text in enumerate(sorted({row[4] for row in rows}))}
        return SampleBlock(
            table,
            np.array([table.number(row[2]) for row in rows], np.int32),
            np.array([row[0] for row in rows], np.int64),
            np.array(
                [texts[row[4]] if row[5] is Kind.TEXT else row[3] for row in rows], np.float64
            ),
            tuple(texts),
        )

    def count(self, tenant: str, vehicle: str) -> int:
        return sum(1 for _ in self._samples(tenant, vehicle))

    def statistics(self) -> Statistics:
        return Statistics(
            rows=sum(len(batch.block) for batch in self.batches.values()), disk_bytes=0, parts=0
        )

    def close(self) -> None:
        """Forget everything."""
        self.batches.clear()

    def _of(self, span: SignalSpan) -> list[_Sample]:
        return sorted(
            sample
            for signal, sample in self._samples(span.tenant, span.vehicle, span.streams)
            if signal == span.signal and span.from_ns <= sample.time_ns < span.to_ns
        )

    def _samples(
        self,
        tenant: str,
        vehicle: str,
        streams: Collection[str] | None = None,
        but_streams: Collection[str] = (),
    ) -> Iterator[tuple[str, _Sample]]:
        with self._lock:
            batches = list(self.batches.values())
        for batch in batches:
            is_meant = streams is None or batch.name.stream in streams
            is_meant &= batch.name.stream not in but_streams
            if batch.tenant == tenant and batch.name.vehicle == vehicle and is_meant:
                block, sequence = batch.block, batch.name.sequence
                for number, (name, time_ns, value) in zip(
                    block.signal.tolist(), block.rows(), strict=True
                ):
                    signal = block.table[number]
                    is_text = isinstance(value, str)
                    yield (
                        name,
                        _Sample(
                            time_ns,
                            sequence,
                            0.0 if is_text else float(value),
                            str(value) if is_text else "",
                            signal.kind,
                            signal.unit,
                        ),
                    )
