"""Floods of denials."""

from fairway.clock import NS_PER_S
from fleet_cloud.audit import folding
from fleet_cloud.audit.acts import Act, Outcome
from fleet_cloud.audit.folding import Folding


def denial(of: str) -> Act:
    return Act("api.deny", of, "route:/v1/vehicles", outcome=Outcome.DENIED)


def test_each_kind_is_written_once_in_a_window_and_the_rest_is_counted():
    fold = Folding()
    written = [fold.fold(denial("ann"), second * NS_PER_S) for second in range(59)]
    other = fold.fold(denial("bob"), 59 * NS_PER_S)
    late = fold.fold(denial("ann"), 60 * NS_PER_S)

    assert [act for act in written if act] == [denial("ann")]
    assert other == denial("bob")
    assert late is not None
    assert dict(late.details) == {"folded": "58"}


def test_whoever_makes_up_names_without_end_fills_no_memory(monkeypatch):
    monkeypatch.setattr(folding, "KINDS_MAX", 10)
    fold = Folding()

    for number in range(1000):
        assert fold.fold(denial(f"user:{number}"), 0)
    assert len(fold._kinds) == 10
