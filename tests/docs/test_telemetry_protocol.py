"""The protocol reference says what the code does: topics, limits, outcomes, and its example to the byte."""

import importlib
import json
import re

import numpy as np
from google.protobuf import text_format

from edge_agent.adapters.uplink_grpc import METHOD
from fairway import topics
from fairway.clock import NS_PER_MS
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import Outcome
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.columns import seal
from fairway.wire.compression import compressed, decompressed
from fairway.wire.stacks import unseal
from tests.docs.pages import DOCS, blocks

PAGE = (DOCS / "reference" / "telemetry-protocol.md").read_text(encoding="utf-8")
EXAMPLE, COLUMNS = (
    block.content
    for block in blocks("reference/telemetry-protocol.md")
    if block.language in ("json", "textproto")
)


def example() -> SampleBlock:
    """Return the samples of the page's example."""
    told = json.loads(EXAMPLE)
    signals = [{**signal, "kind": Kind[signal["kind"]]} for signal in told["signals"]]
    texts = tuple(value for *_, value in told["samples"] if isinstance(value, str))
    numbers, after_ms, values = zip(*told["samples"], strict=True)
    return SampleBlock(
        SignalTable(tuple(Signal(**signal) for signal in signals)),
        np.array(numbers, np.int32),
        np.array(after_ms, np.int64) * NS_PER_MS + told["first_time_ns"],
        np.array([texts.index(v) if isinstance(v, str) else v for v in values], np.float64),
        texts,
    )


def test_the_example_is_what_is_sent():
    sent = decompressed(seal(example()), max_bytes=10_000, what="the example")

    assert text_format.MessageToString(v1.TelemetryColumns.FromString(sent)) == COLUMNS


def test_the_example_is_read():
    columns = text_format.Parse(COLUMNS, v1.TelemetryColumns())
    block = example()

    read = unseal(compressed(columns.SerializeToString()), len(block), block.table)

    assert list(read.rows()) == list(block.rows())


def test_topics_and_method_are_spelled_as_in_the_code():
    for name in (topics.up_telemetry("<vehicle>"), topics.down_telemetry("<vehicle>"), METHOD):
        assert f"`{name}`" in PAGE


def test_every_outcome_is_explained():
    told = re.findall(r"^\| (\d) `([A-Z_]+)` \|", PAGE, re.MULTILINE)

    assert told == [(str(int(outcome)), outcome.name) for outcome in Outcome]


def test_every_field_of_the_columns_is_explained():
    words = set(re.findall(r"\w+", PAGE))

    assert [f.name for f in v1.TelemetryColumns.DESCRIPTOR.fields if f.name not in words] == []


def test_limits_are_those_of_the_code():
    told = re.findall(r"^\| `([a-z_.]+)\.([A-Z_]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)
    found = [
        (module, name, str(getattr(importlib.import_module(module), name)))
        for module, name, _ in told
    ]

    assert len(told) > 20
    assert told == found
