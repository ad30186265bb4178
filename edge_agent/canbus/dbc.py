"""Reads DBC files leniently: what one line spoils, the others do not pay for.

    bytes -> text -> dbc_statements (a Draft) -> dbc_build (messages) -> lint -> Database with problems

Rule 1: whatever the bytes, the outcome is a Database with its problems or BadInput, in time in
        proportion to the size.
"""

from edge_agent.canbus import lint
from edge_agent.canbus.database_text import LOST, text_of
from edge_agent.canbus.dbc_build import assemble
from edge_agent.canbus.dbc_draft import Notes
from edge_agent.canbus.dbc_statements import read_statements
from edge_agent.canbus.model import Database
from fairway.errors import BadInput


def read(content: bytes, *, name: str) -> Database:
    """Return the database in `content`.  Raises BadInput when it holds no statement of a DBC file."""
    text, remark = text_of(content)
    draft = read_statements(text)
    if not draft.statements:
        raise BadInput(f"{name} is no DBC file: it holds none of its statements")
    if remark:
        draft.notes.warning(0, remark)
    if LOST in text:
        draft.notes.warning(
            text.index(LOST), "an earlier tool has lost letters of this file, from here on"
        )
    messages, drafts = assemble(draft)
    notes: Notes = draft.notes
    places = [
        lint.Place(
            notes.line(message.at), tuple(notes.line(signal.at) for signal in message.signals)
        )
        for message in drafts
    ]
    problems = notes.problems() + lint.check(messages, places)
    problems.sort(key=lambda problem: problem.line)
    is_j1939 = any(message.is_j1939 for message in messages)
    return Database(name, tuple(messages), is_j1939=is_j1939, problems=tuple(problems))
