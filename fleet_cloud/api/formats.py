"""Columns as JSON, CSV, Arrow or Parquet, as the request asks by `?format=` or by its Accept header.

JSON and CSV tell times as `time_ns` (integers); Arrow and Parquet have a type for them, `time` (ns, UTC).
Numbers that JSON has no word for (NaN, infinities) are null there.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, ipc, parquet

from fairway.signals import Kind
from fleet_cloud.api.ports import NotAcceptable
from fleet_cloud.vehicles.telemetry import Buckets, Series


class Format(StrEnum):
    """How columns are written."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}

Column: TypeAlias = NDArray[Any] | pa.Array


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A table on its way out: what is said about it once, its times, and the rest."""

    head: Mapping[str, Any]
    time_name: str
    time_ns: NDArray[np.int64]
    columns: Mapping[str, Column]


def chosen(wanted: Format | None, accept: str) -> Format:
    """Return the format asked for; `wanted` wins over the Accept header.  Raises NotAcceptable."""
    if wanted is not None:
        return wanted
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    if not ranges:
        return Format.JSON
    for media, quality in sorted(ranges, key=lambda pair: -pair[1]):
        for form, media_type in MEDIA_TYPES.items():
            if quality > 0 and media in ("*/*", media_type, media_type.split("/")[0] + "/*"):
                return form
    raise NotAcceptable(f"accept one of {', '.join(MEDIA_TYPES.values())}, not {accept[:200]!r}")


def _media_range(text: str) -> tuple[str, float]:
    media, *parameters = (part.strip() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return media.lower(), quality


def of_series(series: Series, head: Mapping[str, Any]) -> Columns:
    """Return a page of samples as a table of `time_ns` and `value`."""
    return Columns(
        {**head, "unit": series.unit}, "time_ns", series.time_ns, {"value": _values(series)}
    )


def of_buckets(buckets: Buckets, wanted: list[str], head: Mapping[str, Any]) -> Columns:
    """Return buckets as a table of `start_ns` and the aggregates wanted."""
    known = {
        "min": buckets.minimum,
        "max": buckets.maximum,
        "mean": buckets.mean,
        "last": buckets.last,
        "count": buckets.count,
    }
    head = {**head, "unit": buckets.unit, "bucket_ns": buckets.bucket_ns}
    return Columns(head, "start_ns", buckets.start_ns, {name: known[name] for name in wanted})


def _values(series: Series) -> Column:
    """Return values as one column: numbers, booleans or texts, and all of them as texts when they are mixed."""
    kinds = set(np.unique(series.kind).tolist())
    if kinds <= {Kind.NUMBER}:
        return series.value
    if kinds == {Kind.BOOL}:
        return series.value != 0.0
    if kinds == {Kind.TEXT}:
        index = pa.array(series.value.astype(np.int32))
        return pa.DictionaryArray.from_arrays(index, pa.array(series.texts, pa.string()))
    return pa.array([json.dumps(v) if not isinstance(v, str) else v for v in series.values()])


def written(table: Columns, form: Format) -> bytes:
    """Return `table` as bytes of the chosen format."""
    match form:
        case Format.JSON:
            return _json(table)
        case Format.CSV:
            return _csv(table)
        case Format.ARROW:
            return _arrow(table)
        case Format.PARQUET:
            out = io.BytesIO()
            parquet.write_table(_table(table), out, compression="zstd")
            return out.getvalue()


def _json(table: Columns) -> bytes:
    content = {**table.head, table.time_name: table.time_ns.tolist()}
    for name, column in table.columns.items():
        content[name] = _listed(column)
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _listed(column: Column) -> list[Any]:
    if not isinstance(column, np.ndarray):
        return list(column.to_pylist())
    values: list[Any] = column.tolist()
    if column.dtype == np.float64:
        for row in np.flatnonzero(~np.isfinite(column)).tolist():
            values[row] = None
    return values


def _csv(table: Columns) -> bytes:
    columns = {
        name: column.cast(pa.string()) if isinstance(column, pa.DictionaryArray) else column
        for name, column in table.columns.items()
    }
    out = io.BytesIO()
    csv.write_csv(pa.table({table.time_name: table.time_ns, **columns}), out)
    return out.getvalue()


def _arrow(table: Columns) -> bytes:
    content = _table(table)
    out = io.BytesIO()
    with ipc.new_stream(out, content.schema) as writer:
        writer.write_table(content)
    return out.getvalue()


def _table(table: Columns) -> pa.Table:
    times = pa.array(table.time_ns, pa.timestamp("ns", tz="UTC"))
    facts = {name: str(value) for name, value in table.head.items() if value is not None}
    time_name = table.time_name.removesuffix("_ns")
    return pa.table({time_name: times, **table.columns}).replace_schema_metadata(facts)
