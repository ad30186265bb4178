"""Programs that updates ask: what they print, or one sentence of why not."""

import pytest

from edge_agent.adapters.update_tools import said_by
from fairway.errors import Unavailable


async def test_what_a_program_prints_is_returned():
    assert await said_by(["cat"], b"as given") == "as given"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (
            ["sh", "-c", "echo no room >&2; exit 3"],
            "sh -c 'echo no room >&2; exit 3' fails (3): no room",
        ),
        (["sh", "-c", "exit 1"], "sh -c 'exit 1' fails (1)"),
        (["/nowhere/program"], "/nowhere/program cannot be run: No such file or directory"),
    ],
)
async def test_a_program_that_fails_is_one_sentence(argv: list[str], sentence: str):
    with pytest.raises(Unavailable) as caught:
        await said_by(argv)

    assert str(caught.value) == sentence


async def test_a_program_that_takes_too_long_is_ended():
    with pytest.raises(Unavailable, match=r"takes longer than 0\.1 s"):
        await said_by(["sleep", "60"], timeout_s=0.1)
