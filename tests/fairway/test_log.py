import io
import json
import logging

import pytest

from fairway import log


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_an_event_with_facts():
    out = io.StringIO()
    log.set_up(stream=out)

    log.get("spool").info("batch_sent", vin="V1", note="two words")

    assert out.getvalue().endswith('info    spool batch_sent vin=V1 note="two words"\n')


def test_a_machine_reads_the_same_as_json():
    out = io.StringIO()
    log.set_up(stream=out, as_json=True, level="debug")

    log.get("spool").debug("batch_sent", sequence=7)

    line = json.loads(out.getvalue())
    assert (line["level"], line["log"], line["event"], line["sequence"]) == (
        "debug",
        "spool",
        "batch_sent",
        7,
    )


def test_what_is_below_the_level_is_not_said():
    out = io.StringIO()
    log.set_up(stream=out, level="warning")

    log.get("spool").info("batch_sent")
    log.get("spool").warning("spool_full")
    log.get("spool").error("disk_full")

    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["spool_full", "disk_full"]
