"""What is sealed is opened by the same cloud, and by no other."""

from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.adapters.sealing import RootSealer

ROOT = bytes(range(32))


@given(st.text(max_size=200))
def test_what_is_sealed_comes_back(text: str):
    text = text.encode("utf-8", "replace").decode()
    sealed = RootSealer(ROOT).seal(text)

    assert RootSealer(ROOT).opened(sealed) == text
    assert RootSealer(bytes(32)).opened(sealed) is None
    assert len(text) < 4 or text not in sealed


@given(st.text(max_size=80))
def test_what_was_never_sealed_opens_to_nothing(text: str):
    assert RootSealer(ROOT).opened(text) is None


def test_the_same_text_is_sealed_differently_each_time():
    assert RootSealer(ROOT).seal("token") != RootSealer(ROOT).seal("token")
