"""The telemetry store over one ClickHouse, embedded or a server.

    append --> columns --> one insert --> one block --> one part on disk
    latest, series, buckets, rows --> one statement --> columns

Rule 1: a batch is stored whole or not at all.  Its rows travel in one block, below the size at which engines
cut blocks, and share one partition; a block of one partition becomes one part, which is written beside the
data, synced, and put in its place by one rename.  Whoever dies at any byte leaves the part there or not there.
Rule 2: `append` returns after that rename, so a receipt may follow.
Rule 3: whether a batch is stored is asked of its rows, never of the engine's memory of recent inserts.
Rule 4: rows that are not there may still be on their way: an insert that its sender gave up goes on.
So there is no answer while an old insert runs, or from a server that wakes up with such an insert before it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fairway import log as logs
from fairway.errors import Conflict, Unavailable
from fairway.ids import stream_id
from fairway.samples import Kind, SampleBlock, empty_block
from fleet_cloud.adapters import clickhouse_rows, clickhouse_sql
from fleet_cloud.adapters.clickhouse_engine import Engine
from fleet_cloud.adapters.clickhouse_native import Column, Words, encoded, numbers, texts
from fleet_cloud.adapters.clickhouse_sql import bound
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
    page_end,
)

log = logs.get("fleet_cloud.store")

# A server that takes longer to say what it is doing was stopped, swapped out or cut off in between.
AWAKE_MAX_S = 2.0


class ClickHouseStore:
    """The samples of some vehicles of a region, in one engine."""

    def __init__(
        self, engine: Engine, *, region: str, share: tuple[int, int], free_min_bytes: int
    ) -> None:
        self._engine = engine
        self._region = region
        can = clickhouse_sql.abilities(engine.version)
        aside = clickhouse_sql.create_samples(
            can, free_min_bytes=free_min_bytes, name=clickhouse_sql.ASIDE
        )
        self._carry_over(aside)
        self._make("samples", clickhouse_sql.create_samples(can, free_min_bytes=free_min_bytes))
        self._make("layout", clickhouse_sql.CREATE_LAYOUT)
        self._check_layout(*share)

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        clickhouse_rows.check(batches)
        blocks = [
            encoded(clickhouse_rows.columns(run, self._region))
            for run in clickhouse_rows.inserts(batches)
        ]
        for block in blocks:
            self._engine.insert(block)

    def stored(self, tenant: str, vehicle: str, stream: str, sequences: Sequence[int]) -> set[int]:
        if not sequences:
            return set()
        self._check_nothing_lingers()
        # Whole numbers only, so they may stand in the statement as they are.
        statement = clickhouse_sql.STORED.replace(
            "{sequences}", ", ".join(str(int(sequence)) for sequence in sequences)
        )
        answer = self._ask(
            statement, tenant=tenant, vehicle=vehicle, stream=int(stream_id(stream), 16)
        )
        return set(numbers(answer, "sequence", np.int64).tolist())

    def _check_nothing_lingers(self) -> None:
        asked_s = time.monotonic()
        inserts = numbers(self._engine.query(clickhouse_sql.LINGERING), "inserts", np.int64).sum()
        if inserts:
            raise Unavailable(
                f"the telemetry store {self._engine.name} still works on an insert that was given up: its end"
                " is waited for"
            )
        if time.monotonic() - asked_s > AWAKE_MAX_S:
            raise Unavailable(
                f"the telemetry store {self._engine.name} has been asleep: what it was sent before may come yet"
            )

    def latest(self, tenant: str, vehicle: str) -> list[LatestValue]:
        answer = self._ask(clickhouse_sql.LATEST, tenant=tenant, vehicle=vehicle)
        rows = zip(
            texts(answer, "signal"),
            numbers(answer, "sequence", np.int64).tolist(),
            numbers(answer, "value", np.float64).tolist(),
            texts(answer, "text"),
            numbers(answer, "time_ns", np.int64).tolist(),
            numbers(answer, "kind", np.uint8).tolist(),
            texts(answer, "unit"),
            strict=True,
        )
        # Of several with the newest time the last in this order stays.
        newest = {
            signal: LatestValue(signal, time_ns, _value(value, text, kind), unit)
            for signal, _, value, text, time_ns, kind, unit in sorted(rows)
        }
        return list(newest.values())

    def series(self, span: SignalSpan, *, limit: int) -> Series:
        answer = self._page(span, checked_limit(limit) + 1)
        time_ns = numbers(answer, "time_ns", np.int64)
        if len(time_ns) <= limit:
            return _series(answer, len(time_ns), next_ns=None)
        end = page_end(time_ns, limit)
        if end:
            return _series(answer, end, next_ns=int(time_ns[end]))
        # More samples in one moment than a page has: give the whole moment.
        at_ns = int(time_ns[0])
        moment = replace(span, from_ns=at_ns, to_ns=at_ns + 1)
        answer = self._page(moment, clickhouse_rows.BATCH_MAX_ROWS)
        return _series(answer, len(numbers(answer, "time_ns", np.int64)), next_ns=at_ns + 1)

    def buckets(self, span: SignalSpan, *, bucket_ns: int, limit: int) -> Buckets:
        answer = self._ask(
            clickhouse_sql.of_streams(clickhouse_sql.BUCKETS, span.streams),
            tenant=span.tenant,
            vehicle=span.vehicle,
            signal=span.signal,
            from_ns=max(span.from_ns, 0),
            to_ns=span.to_ns,
            bucket_ns=checked_bucket(bucket_ns),
            limit=checked_limit(limit) + 1,
        )
        start_ns = numbers(answer, "start", np.int64)
        count = numbers(answer, "samples", np.int64)
        units = answer.get("newest_unit")
        page = slice(0, limit)
        return Buckets(
            unit=units.words[int(units.index[-1])]
            if isinstance(units, Words) and len(units)
            else "",
            bucket_ns=bucket_ns,
            start_ns=start_ns[page],
            minimum=numbers(answer, "minimum", np.float64)[page],
            maximum=numbers(answer, "maximum", np.float64)[page],
            mean=(numbers(answer, "total", np.float64) / count)[page],
            last=numbers(answer, "last", np.float64)[page],
            count=count[page],
            next_ns=int(start_ns[limit]) if len(start_ns) > limit else None,
        )

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        names = checked_names(span)
        if not names:
            return empty_block(span.table)
        statement, values = clickhouse_sql.of_signals(clickhouse_sql.ROWS, names)
        answer = self._ask(
            clickhouse_sql.but_of_streams(
                clickhouse_sql.of_streams(statement, span.streams), span.but_streams
            ),
            tenant=span.tenant,
            vehicle=span.vehicle,
            from_ns=span.from_ns,
            to_ns=span.to_ns,
            limit=limit + 1,
            **values,
        )
        time_ns = numbers(answer, "time_ns", np.int64)
        checked_rows(len(time_ns), limit, span)
        return clickhouse_rows.driven(answer, span.table)

    def count(self, tenant: str, vehicle: str) -> int:
        answer = self._ask(clickhouse_sql.COUNT, tenant=tenant, vehicle=vehicle)
        return int(numbers(answer, "samples", np.int64).sum())

    def statistics(self) -> Statistics:
        answer = self._engine.query(clickhouse_sql.STATISTICS)
        return Statistics(
            *(
                int(numbers(answer, name, np.int64).sum())
                for name in ("samples", "disk_bytes", "parts")
            )
        )

    def close(self) -> None:
        """Let go of the engine."""
        self._engine.close()

    def _page(self, span: SignalSpan, limit: int) -> dict[str, Column]:
        return self._ask(
            clickhouse_sql.of_streams(clickhouse_sql.SERIES, span.streams),
            tenant=span.tenant,
            vehicle=span.vehicle,
            signal=span.signal,
            from_ns=span.from_ns,
            to_ns=span.to_ns,
            limit=limit,
        )

    def _ask(self, statement: str, **values: str | int) -> dict[str, Column]:
        """Ask about samples of this store's region."""
        return self._engine.query(bound(statement, region=self._region, **values))

    def _carry_over(self, create_aside: str) -> None:
        """Give samples of before there were regions a place in this one; whoever dies meanwhile goes on here.

        Raises Conflict for a server, where other processes may be at it.
        """
        if not self._has("samples"):
            if self._has(clickhouse_sql.ASIDE):  # complete: what it replaces is put away last
                self._engine.execute(clickhouse_sql.PUT_IN_PLACE)
            return
        if "region" in texts(self._engine.query(clickhouse_sql.SELECT_COLUMNS), "name"):
            if self._has(clickhouse_sql.BEFORE):
                self._engine.execute(clickhouse_sql.DROP_BEFORE)
            return
        if not self._engine.is_own:
            raise Conflict(
                f"the telemetry store {self._engine.name} has samples of before there were regions: carry them"
                " over as docs/howto/operate.md says, with every fleet-cloud stopped"
            )
        log.warning("samples_carried_over", region=self._region)
        for statement in (
            clickhouse_sql.DROP_ASIDE,
            create_aside,
            bound(clickhouse_sql.CARRY_OVER, region=self._region),
            clickhouse_sql.FORGET_LAYOUT,
            clickhouse_sql.PUT_AWAY,
            clickhouse_sql.PUT_IN_PLACE,
            clickhouse_sql.DROP_BEFORE,
        ):
            self._engine.execute(statement)

    def _make(self, table: str, statement: str) -> None:
        """Make a table, unless it is there: an operator may have made it, replicated for instance."""
        if self._has(table):
            return
        try:
            self._engine.execute(statement)
        except Unavailable:
            # Another process may have been making it at the same time.
            if not self._has(table):
                raise

    def _has(self, table: str) -> bool:
        return table in texts(self._engine.query(clickhouse_sql.SELECT_TABLES), "name")

    def _check_layout(self, shard: int, shards: int) -> None:
        """Note which share this engine holds, or hold it against what was noted.  Raises Conflict."""
        wanted = (clickhouse_sql.SCHEMA_VERSION, shard, shards)
        answer = self._engine.query(clickhouse_sql.SELECT_LAYOUT)
        found = {
            tuple(int(number) for number in row)
            for row in zip(
                *(numbers(answer, name, np.int64) for name in ("schema", "shard", "shards")),
                strict=True,
            )
        }
        if not found:
            schema = clickhouse_sql.SCHEMA_VERSION
            self._engine.execute(
                bound(clickhouse_sql.INSERT_LAYOUT, schema=schema, shard=shard, shards=shards)
            )
        elif found != {wanted}:
            held = ", ".join(f"shard {s} of {n} (schema {v})" for v, s, n in sorted(found))
            raise Conflict(
                f"the telemetry store {self._engine.name} holds {held}, but stands as shard {shard} of {shards}"
                f" (schema {clickhouse_sql.SCHEMA_VERSION}): give the servers in the order they began with"
            )


def _value(value: float, text: str, kind: int) -> float | bool | str:
    if kind == Kind.TEXT:
        return text
    return value != 0.0 if kind == Kind.BOOL else value


def _series(answer: dict[str, Column], end: int, *, next_ns: int | None) -> Series:
    value = numbers(answer, "value", np.float64)[:end]
    kind = numbers(answer, "kind", np.uint8)[:end]
    text = answer.get("text")
    words: tuple[str, ...] = ()
    is_text = kind == Kind.TEXT
    if isinstance(text, Words) and is_text.any():
        words = text.words
        value = np.where(is_text, text.index[:end], value)
    return Series(
        unit=_last_word(answer.get("unit"), end),
        time_ns=numbers(answer, "time_ns", np.int64)[:end],
        value=value,
        kind=kind,
        texts=words,
        next_ns=next_ns,
    )


def _last_word(column: Column | None, end: int) -> str:
    """Return the text in the last of the first `end` rows."""
    return column.words[int(column.index[end - 1])] if isinstance(column, Words) and end else ""
