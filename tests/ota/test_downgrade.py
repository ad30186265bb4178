"""Signed exceptions from the rule that a release counter never falls."""

import pytest

from fairway.errors import BadInput
from ota.downgrade import STATEMENTS_MAX, Downgrade, allows, with_downgrade, without_downgrades

BACK = Downgrade(("CAR1", "CAR2"), "brake-fw", 4)


def test_an_exception_is_for_its_vehicles_its_image_and_its_counter():
    custom = with_downgrade({"other": 1}, BACK)

    assert custom["other"] == 1
    assert allows(custom, Downgrade(("CAR1",), "brake-fw", 4))
    assert allows(custom, BACK)
    for other in (
        Downgrade(("CAR3",), "brake-fw", 4),
        Downgrade(("CAR1", "CAR3"), "brake-fw", 4),
        Downgrade(("CAR1",), "gateway-os", 4),
        Downgrade(("CAR1",), "brake-fw", 3),
    ):
        assert not allows(custom, other)


def test_exceptions_stand_beside_each_other_and_once_each():
    custom = with_downgrade(with_downgrade({}, BACK), Downgrade(("CAR9",), "gateway-os", 1))

    assert with_downgrade(custom, BACK)["downgrade"] == custom["downgrade"][::-1]
    assert allows(custom, BACK)


def test_an_exception_is_taken_out_once_vehicles_have_followed():
    custom = with_downgrade({"other": 1}, BACK)

    assert without_downgrades(custom, "brake-fw") == {"other": 1}
    assert without_downgrades(custom, "gateway-os") == custom


def test_an_exception_that_stands_alone_is_read_and_added_to():
    alone = {"downgrade": {"vehicles": ["CAR1"], "name": "brake-fw", "to_counter": 4}}

    assert allows(alone, Downgrade(("CAR1",), "brake-fw", 4))
    assert len(with_downgrade(alone, BACK)["downgrade"]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        Downgrade((), "brake-fw", 4),
        Downgrade(("*",), "brake-fw", 4),
        Downgrade(("CAR1",), "", 4),
        Downgrade(("CAR1",), "brake-fw", -1),
    ],
)
def test_an_exception_for_everybody_or_nothing_is_refused(wrong: Downgrade):
    with pytest.raises(BadInput):
        with_downgrade({}, wrong)


def test_exceptions_that_nobody_takes_out_come_to_an_end():
    custom: dict[str, object] = {}
    for counter in range(STATEMENTS_MAX):
        custom = with_downgrade(custom, Downgrade(("CAR1",), "brake-fw", counter))

    with pytest.raises(BadInput, match="take out those"):
        with_downgrade(custom, BACK)
