"""The life of a campaign, move by move."""

import pytest

from fairway.errors import Conflict
from fleet_cloud.campaigns.life import MOVES, Move, State, moved


def reached(*moves: Move) -> State:
    state = State.CREATING
    for move in moves:
        state = moved("c", state, move)
    return state


def test_a_campaign_lives_from_a_document_to_its_end():
    assert reached(Move.SUBMIT) is State.WAITING_FOR_APPROVAL
    assert reached(Move.SUBMIT, Move.APPROVE, Move.START) is State.RUNNING
    started = (Move.SUBMIT, Move.APPROVE, Move.START)
    assert reached(*started, Move.SUSPEND) is State.SUSPENDED
    assert reached(*started, Move.SUSPEND, Move.RESUME, Move.STAGE) is State.RUNNING
    assert reached(*started, Move.DELETE) is State.DELETED


def test_nothing_starts_without_approval_and_a_change_needs_another_one():
    with pytest.raises(Conflict, match="c is WAITING_FOR_APPROVAL, and cannot start: it can"):
        reached(Move.SUBMIT, Move.START)
    with pytest.raises(Conflict):
        reached(Move.SUBMIT, Move.APPROVE, Move.CHANGE, Move.START)
    with pytest.raises(Conflict):
        reached(Move.SUBMIT, Move.APPROVE, Move.START, Move.CHANGE)


def test_whatever_lives_can_be_deleted_and_nothing_comes_back():
    assert {state for state, move in MOVES if move is Move.DELETE} == set(State) - {State.DELETED}
    assert not [state for state, _ in MOVES if state is State.DELETED]
    with pytest.raises(Conflict, match="it can nothing"):
        moved("c", State.DELETED, Move.DELETE)


def test_vehicles_are_told_of_what_runs_or_pauses():
    assert {state for state in State if state.is_in_vehicles} == {State.RUNNING, State.SUSPENDED}
