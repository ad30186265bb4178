"""Every ECU that can be written: what is half written is nothing, and may be written again."""

import hashlib
from pathlib import Path

import pytest

from edge_agent.adapters.flash_simulated import SimulatedFlash
from edge_agent.adapters.installer_uds import FlashState
from fairway.errors import Tampered, Unavailable

OLD, NEW = b"old" * 300, b"new" * 400


class Cut(BaseException):
    """The power goes."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(params=[1, 2])
def flash(request: pytest.FixtureRequest) -> SimulatedFlash:
    return SimulatedFlash(OLD, banks=request.param)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    path = tmp_path / "new.bin"
    path.write_bytes(NEW)
    return path


async def test_what_it_holds_is_said(flash: SimulatedFlash):
    spare = "" if len(flash.banks) == 2 else None

    assert await flash.look() == FlashState(sha256(OLD), spare)


async def test_what_is_written_is_there(flash: SimulatedFlash, new: Path):
    await flash.write(new)

    state = await flash.look()
    if state.spare_sha256 is None:
        assert state.active_sha256 == sha256(NEW)
    else:
        assert state == FlashState(sha256(OLD), sha256(NEW))
        await flash.swap()
        assert await flash.look() == FlashState(sha256(NEW), sha256(OLD))


async def test_a_cut_after_any_message_leaves_nothing_half_written(new: Path):
    messages = 2 + 1 + -(-len(NEW) // 256) + 2
    for banks in (1, 2):
        for number in range(messages):
            flash = SimulatedFlash(OLD, banks=banks)
            left = number

            def message(what: str) -> None:
                nonlocal left
                if left == 0:
                    raise Cut(what)
                left -= 1

            flash.message = message
            with pytest.raises(Cut):
                await flash.write(new)
            flash.message = lambda _: None
            state = await flash.look()
            held = state.active_sha256 if banks == 1 else state.spare_sha256
            assert held in ("", sha256(NEW), sha256(OLD))
            if banks == 2:
                assert state.active_sha256 == sha256(OLD)
            await flash.write(new)
            state = await flash.look()
            assert sha256(NEW) in (state.active_sha256, state.spare_sha256)


async def test_what_it_does_not_keep_is_said(flash: SimulatedFlash, new: Path):
    flash.refused = sha256(NEW)

    with pytest.raises(Tampered, match="does not hold what was sent"):
        await flash.write(new)


async def test_one_that_is_silent_is_unavailable(flash: SimulatedFlash, new: Path):
    flash.is_silent = True

    for ask in (flash.look(), flash.write(new), flash.swap()):
        with pytest.raises(Unavailable, match="does not answer"):
            await ask
