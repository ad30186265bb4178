"""Reads DBC files leniently: what one line spoils, the others do not pay for.

    bytes -> text -> dbc_statements (a Draft) -> dbc_build (messages) -> lint -> Database with problems

Rule 1: whatever the bytes, the outcome is a Database with its problems or BadInput, in time in
        proportion to the size.
"""

from edge_agent.canbus import lint
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
    messages, drafts, is_j1939 = assemble(draft)
    notes: Notes = draft.notes
    places = [
        lint.Place(notes.line(message.at), tuple(notes.line(signal.at) for signal in message.signals))
        for message in drafts
    ]
    problems = notes.problems() + lint.check(messages, places)
    problems.sort(key=lambda problem: problem.line)
    return Database(name, tuple(messages), is_j1939=is_j1939, problems=tuple(problems))


def text_of(content: bytes) -> tuple[str, str]:
    """Return the text in `content`, and what was odd about its encoding.

    DBC files name no encoding: Vector's tools write cp1252, everyone else UTF-8.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace"), "the file is written in UTF-16"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), ""
    except UnicodeDecodeError:
        return content.decode("latin-1"), "the file is neither UTF-8 nor cp1252: read as latin-1"
