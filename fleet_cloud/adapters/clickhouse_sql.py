"""What we say to ClickHouse: one schema and one set of statements for the embedded engine and for servers.

Rule 1: values enter a statement only through `bound`, which quotes them; what asks for samples begins with
`_OF_TENANT` or `_OF_VEHICLE`, so none can forget whose they are (tests/house/test_scopes.py looks).
Rule 2: a statement uses only what a server of 2018 understands; newer ones get codecs, indexes, fsync on top.
Rule 3: the rows of a batch share one `day`, hence one partition, hence one part: it becomes visible whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fairway.ids import stream_id
from fairway.signals import Kind

SCHEMA_VERSION = 2  # 1: without region

# The order of the columns is the order they are sent in.
COLUMNS: dict[str, str] = {
    "region": "LowCardinality(String)",
    "tenant": "LowCardinality(String)",
    "vehicle": "LowCardinality(String)",
    "signal": "LowCardinality(String)",
    "time_ns": "Int64",
    "value": "Float64",
    "text": "LowCardinality(String)",
    "kind": "UInt8",
    "unit": "LowCardinality(String)",
    "stream": "UInt64",
    "sequence": "Int64",
    "day": "Date",
}

# A time is best told as a step from the one before; the rest repeats or is a number on a grid, which ZSTD sees
# by itself (Gorilla is worse on quantised values).
CODECS: dict[str, str] = {
    "time_ns": "CODEC(Delta(8), ZSTD(1))",
    "value": "CODEC(ZSTD(1))",
    "text": "CODEC(ZSTD(1))",
    "kind": "CODEC(ZSTD(1))",
    "unit": "CODEC(ZSTD(1))",
    "stream": "CODEC(ZSTD(1))",
    "sequence": "CODEC(Delta(8), ZSTD(1))",
    "day": "CODEC(ZSTD(1))",
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an engine of some version can do beyond the common ground."""

    codecs: bool
    indexes: bool
    fsync: bool
    low_cardinality: bool  # without being told that it is an experiment
    async_insert: bool


def abilities(version: str) -> Abilities:
    """Return what the engine of `version` (such as 18.16.1 or 26.9.2.1) can do."""
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    release = (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
    return Abilities(
        codecs=release >= (19, 17),
        indexes=release >= (20, 1),
        fsync=release >= (20, 10),
        low_cardinality=release >= (19, 7),
        async_insert=release >= (21, 11),
    )


def quoted(value: str | int) -> str:
    """Return `value` as a SQL literal."""
    if isinstance(value, int):
        return str(int(value))
    content = value.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("'", "\\'")
    return f"'{content}'"


def bound(statement: str, **values: str | int) -> str:
    """Return `statement` with each {name} replaced by the quoted value of that name."""
    return statement.format_map({name: quoted(value) for name, value in values.items()})


def of_streams(statement: str, streams: Sequence[str] | None) -> str:
    """Return `statement` about what came in `streams` alone; None: in whichever."""
    numbers = ", ".join(str(int(stream_id(stream), 16)) for stream in streams or ())
    within = "" if streams is None else f" AND stream IN ({numbers})" if numbers else " AND 0"
    return statement.replace("{streams}", within)


def but_of_streams(statement: str, streams: Sequence[str]) -> str:
    """Return `statement` about nothing of what came in `streams`."""
    numbers = ", ".join(str(int(stream_id(stream), 16)) for stream in streams)
    return statement.replace("{but}", f" AND stream NOT IN ({numbers})" if numbers else "")


def of_signals(statement: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return `statement` about the signals of these names (at least one), and what is to be bound in it."""
    values = {f"signal_{number}": name for number, name in enumerate(names)}
    listed = ", ".join(f"{{{place}}}" for place in values)
    return statement.replace("{signals}", listed), values


def create_samples(can: Abilities, *, free_min_bytes: int, name: str = "samples") -> str:
    """Return the statement that makes the table of samples."""
    lines = [
        f"{column} {kind} {CODECS.get(column, '') if can.codecs else ''}".rstrip()
        for column, kind in COLUMNS.items()
    ]
    if can.indexes:
        # Which batches a granule holds: `stored` reads one granule a signal instead of the whole vehicle.
        lines.append("INDEX batches (stream, sequence) TYPE minmax GRANULARITY 1")
    durable = (
        f", fsync_after_insert = 1, fsync_part_directory = 1"
        f", min_free_disk_bytes_to_perform_insert = {free_min_bytes}"
        if can.fsync
        else ""
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(lines)}) ENGINE = MergeTree"
        f" PARTITION BY toYYYYMM(day) ORDER BY (region, tenant, vehicle, signal, time_ns)"
        f" SETTINGS index_granularity = 8192{durable}"
    )


COUNT_DATABASES = "SELECT count() FROM system.databases WHERE name = {database}"
SELECT_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase()"

# Which part of the data a server holds, so that a list of servers in another order is noticed.
CREATE_LAYOUT = (
    "CREATE TABLE IF NOT EXISTS layout (schema UInt32, shard UInt32, shards UInt32)"
    " ENGINE = MergeTree ORDER BY shard SETTINGS index_granularity = 8192"
)
# What schema 1 kept becomes the region's: aside first, then by name.
ASIDE = "samples_2"
BEFORE = "samples_1"
DROP_ASIDE = f"DROP TABLE IF EXISTS {ASIDE}"
CARRY_OVER = (
    f"INSERT INTO {ASIDE} ({', '.join(COLUMNS)})"  # noqa: S608
    f" SELECT {{region}}, {', '.join(name for name in COLUMNS if name != 'region')} FROM samples"
)
SELECT_COLUMNS = (
    "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'samples'"
)
PUT_AWAY = f"RENAME TABLE samples TO {BEFORE}"
PUT_IN_PLACE = f"RENAME TABLE {ASIDE} TO samples"
DROP_BEFORE = f"DROP TABLE IF EXISTS {BEFORE} SETTINGS max_table_size_to_drop = 0"
FORGET_LAYOUT = "DROP TABLE IF EXISTS layout"

SELECT_LAYOUT = "SELECT DISTINCT schema, shard, shards FROM layout"
INSERT_LAYOUT = "INSERT INTO layout VALUES ({schema}, {shard}, {shards})"

INSERT_SAMPLES = f"INSERT INTO samples ({', '.join(COLUMNS)}) FORMAT Native"
INSERT_FILE = f"INSERT INTO samples ({', '.join(COLUMNS)}) FROM INFILE {{path}} FORMAT Native"

# What the inserts of this store are called at a server, and how many have been running for a while.
INSERT_NAME = "fairway-insert-"
LINGERING = (
    "SELECT toInt64(count()) AS inserts FROM system.processes"  # noqa: S608
    f" WHERE query_id LIKE '{INSERT_NAME}%' AND elapsed > 1"
)

_OF_TENANT = "region = {region} AND tenant = {tenant}"
_OF_VEHICLE = f"{_OF_TENANT} AND vehicle = {{vehicle}}"

STORED = (
    "SELECT DISTINCT sequence FROM samples"  # noqa: S608
    f" WHERE {_OF_VEHICLE}"
    " AND stream = {stream} AND sequence IN ({sequences})"
)

_OF_TIME = "time_ns >= {from_ns} AND time_ns < {to_ns}"
_OF_SPAN = f"{_OF_VEHICLE} AND signal = {{signal}} AND {_OF_TIME}{{streams}}"

# Two passes, of which the long one reads the two columns that the table is sorted by, and nothing else; what
# shares the newest time is told apart by who asks.  One pass of argMax over tuples takes twenty times as long.
LATEST = (
    "SELECT signal, time_ns, value, text, kind, unit, sequence FROM samples"  # noqa: S608
    f" WHERE {_OF_VEHICLE} AND (signal, time_ns) IN"
    f" (SELECT signal, max(time_ns) FROM samples WHERE {_OF_VEHICLE} GROUP BY signal)"
)

SERIES = (
    "SELECT time_ns, value, text, kind, unit FROM samples"  # noqa: S608
    f" WHERE {_OF_SPAN} ORDER BY time_ns, sequence, value, text LIMIT {{limit}}"
)

# Of many signals, as rule 1 of vehicles/drives.py orders them.
ROWS = (
    "SELECT signal, time_ns, value, text, kind FROM samples"  # noqa: S608
    f" WHERE {_OF_VEHICLE} AND signal IN ({{signals}}) AND {_OF_TIME}{{streams}}{{but}}"
    " ORDER BY time_ns, sequence, signal, value, text LIMIT {limit}"
)

# The order of rule 2 in vehicles/telemetry.py, among numbers.
_NEWEST = "(time_ns, sequence, value)"

# NaN is the one number that differs from itself.
BUCKETS = (
    "SELECT intDiv(time_ns, {bucket_ns}) * {bucket_ns} AS start,"  # noqa: S608
    " min(value) AS minimum, max(value) AS maximum, sum(value) AS total,"
    f" argMax(value, {_NEWEST}) AS last, argMax(unit, {_NEWEST}) AS newest_unit,"
    " toInt64(count()) AS samples"
    f" FROM samples WHERE {_OF_SPAN} AND kind != {int(Kind.TEXT)} AND value = value"
    " GROUP BY start ORDER BY start LIMIT {limit}"
)

COUNT = f"SELECT toInt64(count()) AS samples FROM samples WHERE {_OF_VEHICLE}"  # noqa: S608

STATISTICS = (
    "SELECT toInt64(sum(rows)) AS samples, toInt64(sum(bytes_on_disk)) AS disk_bytes,"
    " toInt64(count()) AS parts FROM system.parts"
    " WHERE active AND table = 'samples' AND database = currentDatabase()"
)
