"""What a campaign fetches: trouble codes of ECUs as FleetWise's agent finds them, or who did not answer."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.memory import MemoryEcus
from edge_agent.diagnostics.ecu import Ecu
from edge_agent.diagnostics.fetcher import Fetcher
from fairway.errors import BadInput, Unavailable

ENGINE, GEARBOX, BODY = (
    Ecu("engine", 1, is_obd=True),
    Ecu("gearbox", 2, is_obd=True),
    Ecu("body", 16),
)
REFUSED = "7f 19 31"


class Scripted:
    """An ECU that answers by the book, and keeps what it was asked; what the book lacks is silence."""

    def __init__(self, book: Mapping[str, str]) -> None:
        self._book, self.asked = book, list[str]()

    def __call__(self, request: bytes, *, is_functional: bool) -> bytes | None:
        self.asked.append(("all " if is_functional else "") + request.hex(" "))
        answer = self._book.get(request.hex(" "))
        return None if answer is None else bytes.fromhex(answer)


def fetcher(**books: Mapping[str, str]) -> tuple[Fetcher, dict[str, Scripted]]:
    ecus = {ecu.name: ecu for ecu in (ENGINE, GEARBOX, BODY)}
    scripted = {name: Scripted(book) for name, book in books.items()}
    return Fetcher(MemoryEcus({ecus[name]: one for name, one in scripted.items()})), scripted


def query(arguments: str) -> str:
    return f'custom_function("DTC_QUERY", {arguments})'


def found(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Return by ECU and code: snapshot and extended data."""
    return {
        one["ECUID"]: {
            code["DTC"]: (code["DTCSnapshotRecord"], code["DTCExtendedData"])
            for code in one["DTCAndSnapshot"]["dtcCodes"]
        }
        for one in json.loads(text)["DetectedDTCs"]
    }


ENGINE_BOOK = {
    "19 02 ff": "59 02 ff aa a1 23 af bb b4 56 2f",
    "19 03": "59 03 aa a1 23 01 aa a1 23 02",
    "19 04 aa a1 23 01": "59 04 aa a1 23 af 01 01 cc dd 01",
    "19 04 aa a1 23 02": "59 04 aa a1 23 af 02 01 cc dd 02",
    "19 04 bb b4 56 07": "59 04 bb b4 56 2f 07 00",
    "19 06 aa a1 23 02": "59 06 aa a1 23 af 02 03 04",
}
GEARBOX_BOOK = {"19 02 ff": "59 02 7f cc c7 89 af", "19 03": "59 03"}


async def test_all_codes_with_their_snapshots_are_asked_of_all_then_of_each():
    fetching, ecus = fetcher(engine=ENGINE_BOOK, gearbox=GEARBOX_BOOK)

    assert await fetching.fetch(query("-1, 4, -1")) == (
        '{"DetectedDTCs":[{"DTCAndSnapshot":{"DTCStatusAvailabilityMask":"FF","dtcCodes":['
        '{"DTC":"AAA123","DTCExtendedData":"","DTCSnapshotRecord":"AAA123AF0201CCDD02"},'
        '{"DTC":"BBB456","DTCExtendedData":"","DTCSnapshotRecord":""}]},"ECUID":"01"},'
        '{"DTCAndSnapshot":{"DTCStatusAvailabilityMask":"7F","dtcCodes":['
        '{"DTC":"CCC789","DTCExtendedData":"","DTCSnapshotRecord":""}]},"ECUID":"02"}]}'
    )
    assert ecus["engine"].asked == ["all 19 02 ff", "all 19 03", "19 04 aa a1 23 02"]
    assert ecus["gearbox"].asked == ["all 19 02 ff", "all 19 03"]


async def test_extended_data_has_the_number_of_the_snapshot():
    fetching, _ = fetcher(engine=ENGINE_BOOK)

    assert found(await fetching.fetch(query("-1, 6, -1"))) == {
        "01": {"AAA123": ("", "AAA123AF020304"), "BBB456": ("", "")}
    }


async def test_one_ecu_is_asked_alone():
    fetching, ecus = fetcher(engine=ENGINE_BOOK, gearbox=GEARBOX_BOOK)

    assert found(await fetching.fetch(query("2, 2, -1"))) == {"02": {"CCC789": ("", "")}}
    assert ecus["gearbox"].asked == ["19 02 ff"]
    assert ecus["engine"].asked == []


async def test_the_status_mask_is_the_ecus_to_apply():
    fetching, ecus = fetcher(engine={"19 02 0c": "59 02 ff aa a1 23 0c"})

    assert found(await fetching.fetch(query("1, 2, 12"))) == {"01": {"AAA123": ("", "")}}
    assert ecus["engine"].asked == ["19 02 0c"]


async def test_one_code_is_picked_out_of_the_list():
    fetching, _ = fetcher(engine=ENGINE_BOOK, gearbox=GEARBOX_BOOK)

    assert found(await fetching.fetch(query('-1, 2, -1, "0xBBB456"'))) == {
        "01": {"BBB456": ("", "")}
    }


async def test_a_snapshot_of_one_code_needs_no_list_of_codes():
    fetching, ecus = fetcher(engine=ENGINE_BOOK)
    text = await fetching.fetch(query('1, 4, -1, "0xAAA123"'))

    assert found(text) == {"01": {"AAA123": ("AAA123AF0201CCDD02", "")}}
    assert (
        json.loads(text)["DetectedDTCs"][0]["DTCAndSnapshot"]["DTCStatusAvailabilityMask"] == "00"
    )
    assert ecus["engine"].asked == ["19 03", "19 04 aa a1 23 02"]


async def test_one_record_of_one_code_is_asked_for_at_once():
    fetching, ecus = fetcher(engine=ENGINE_BOOK)
    text = await fetching.fetch(query('1, 4, -1, "0xAAA123", 1'))

    assert found(text) == {"01": {"AAA123": ("AAA123AF0101CCDD01", "")}}
    assert ecus["engine"].asked == ["19 04 aa a1 23 01"]


async def test_a_number_for_all_codes_takes_the_place_of_the_ecus_list():
    book = ENGINE_BOOK | {"19 04 aa a1 23 07": REFUSED}
    fetching, ecus = fetcher(engine=book)

    assert found(await fetching.fetch(query('1, 4, -1, "", 7'))) == {
        "01": {"AAA123": ("", ""), "BBB456": ("BBB4562F0700", "")}
    }
    assert "19 03" not in ecus["engine"].asked


@pytest.mark.parametrize(
    ("book", "arguments"),
    [
        ({"19 02 ff": "59 02 ff"}, "1, 2, -1"),
        ({"19 02 ff": "59 02 ff"}, "-1, 4, -1"),
        ({"19 02 ff": "59 02 ff 00 00 00 00"}, "1, 2, -1"),  # filled up by the ECU
        (ENGINE_BOOK, '1, 2, -1, "0x123"'),
        (ENGINE_BOOK, '1, 4, -1, "0xBBB456"'),
        ({"19 04 aa a1 23 01": REFUSED}, '1, 4, -1, "0xAAA123", 1'),
    ],
)
async def test_where_nothing_is_found_the_signal_has_no_value(book, arguments):
    fetching, _ = fetcher(engine=book)

    assert await fetching.fetch(query(arguments)) == ""


@pytest.mark.parametrize(
    ("book", "sentence"),
    [
        ({}, "engine .* silent"),
        ({"19 02 ff": "7f 19 22"}, "engine: service 0x19 is refused: conditionsNotCorrect"),
        ({"19 02 ff": "59 02"}, "engine: 59 02 is too short an answer"),
        ({"19 02 ff": "59 02 ff aa a1 23 af"}, "engine .* silent"),  # to 19 03
        (
            {name: ENGINE_BOOK[name] for name in ("19 02 ff", "19 03")},
            "engine .* silent",
        ),  # to 19 04
    ],
)
async def test_one_ecu_that_does_not_answer_is_named(book, sentence):
    fetching, _ = fetcher(engine=book, gearbox=GEARBOX_BOOK)

    with pytest.raises(Unavailable, match=sentence):
        await fetching.fetch(query("1, 4, -1"))


async def test_of_all_ecus_those_that_answer_make_the_result():
    fetching, _ = fetcher(engine={}, gearbox=GEARBOX_BOOK, body={"19 02 ff": "7f 19 22"})

    assert found(await fetching.fetch(query("-1, 4, -1"))) == {"02": {"CCC789": ("", "")}}


async def test_an_ecu_that_falls_silent_halfway_keeps_the_codes_it_told():
    listed = {name: ENGINE_BOOK[name] for name in ("19 02 ff", "19 03")}
    fetching, _ = fetcher(engine=listed, gearbox=GEARBOX_BOOK)

    assert found(await fetching.fetch(query("-1, 4, -1"))) == {
        "01": {"AAA123": ("", ""), "BBB456": ("", "")},
        "02": {"CCC789": ("", "")},
    }


answers = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from(["59 02", "59 03", "59 04", "59 06", "7f 19"]).flatmap(
        lambda head: st.binary(max_size=24).map(lambda rest: bytes.fromhex(head) + rest)
    ),
)


@given(st.data(), st.sampled_from(["-1, 4, -1", "1, 6, -1", "1, 2, 8", '1, 4, -1, "0x1"']))
async def test_whatever_ecus_say_there_is_a_result_or_a_sentence(data, arguments):
    def garbled(_: bytes, *, is_functional: bool) -> bytes | None:
        return data.draw(answers)

    fetching = Fetcher(MemoryEcus({ENGINE: garbled, GEARBOX: garbled}))
    try:
        text = await fetching.fetch(query(arguments))
    except Unavailable as error:
        assert str(error)  # noqa: PT017 - most of garbage is refused
        return
    assert text == "" or found(text)


async def test_when_no_ecu_answers_all_are_named():
    fetching, _ = fetcher(engine={}, gearbox={"19 02 ff": "7f 19 22"})

    with pytest.raises(Unavailable, match="engine .*; .*gearbox"):
        await fetching.fetch(query("-1, 2, -1"))


async def test_a_record_of_another_code_is_not_taken_for_it():
    book = ENGINE_BOOK | {"19 04 aa a1 23 02": "59 04 bb b4 56 2f 02 00"}
    fetching, _ = fetcher(engine=book)

    assert found(await fetching.fetch(query("1, 4, -1")))["01"]["AAA123"] == ("", "")


@pytest.mark.parametrize("arguments", ["3, 2, -1", "1, 3, -1", '-1, 4, -1, "0x1", 1'])
async def test_a_query_that_can_never_work_asks_nobody(arguments):
    fetching, ecus = fetcher(engine=ENGINE_BOOK)

    with pytest.raises(BadInput):
        await fetching.fetch(query(arguments))
    assert ecus["engine"].asked == []


async def test_without_ecus_there_is_nobody_to_ask():
    with pytest.raises(
        BadInput, match=r"no \[\[ecu\]\] has the target address -1; there are: none"
    ):
        await Fetcher(MemoryEcus({})).fetch(query("-1, 2, -1"))


async def test_active_codes_are_those_that_all_ecus_of_obd_store():
    fetching, ecus = fetcher(
        engine={"03": "43 02 01 23 45 67"},
        gearbox={"03": "43 01 01 23"},
        body={"03": "43 01 80 00"},
    )

    assert await fetching.active_dtcs() == ("P0123", "C0567")
    assert ecus["engine"].asked == ["all 03"]
    assert ecus["body"].asked == []


async def test_active_codes_of_some_ecus_are_better_than_none():
    fetching, _ = fetcher(engine={"03": "43 00"}, gearbox={})

    assert await fetching.active_dtcs() == ()


@pytest.mark.parametrize("books", [{"engine": {}}, {"body": {"03": "43 00"}}, {}])
async def test_without_an_answer_there_are_no_active_codes_to_tell(books):
    fetching, _ = fetcher(**books)

    with pytest.raises(Unavailable):
        await fetching.active_dtcs()


async def test_the_log_is_told_of_a_silent_ecu_once_and_of_its_return(caplog):
    caplog.set_level("INFO", logger="edge_agent.diagnostics")
    book = dict[str, str]()
    fetching, _ = fetcher(engine=book, gearbox=GEARBOX_BOOK)
    for _ in range(3):
        await fetching.fetch(query("-1, 2, -1"))
    book |= ENGINE_BOOK
    for _ in range(3):
        await fetching.fetch(query("-1, 2, -1"))

    assert caplog.messages == ["ecu_not_read", "ecu_answers_again"]
