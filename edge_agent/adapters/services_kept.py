"""Takes up what was kept of services; what cannot be read is forgotten, and said.

Rule 1: a damaged record costs one service its memory, never the agent its start.
Rule 2: the settings' own manifests stand beside what was ordered, and below it.
"""

from collections.abc import Sequence

from edge_agent.adapters.services_book import Book
from edge_agent.services import change
from edge_agent.services.dependencies import start_order
from edge_agent.services.ports import Kept
from edge_agent.services.records import (
    WANTED,
    Declared,
    Record,
    Source,
    Wanted,
    record_from_bytes,
    record_name,
    record_to_bytes,
    wanted_from_bytes,
)
from fairway import log
from fairway.errors import BadInput
from fairway.services.model import Service

EVENTS = log.get("edge_agent.services")


def read_wanted(kept: Kept, files: Sequence[Service]) -> Wanted:
    """Return what is wanted.  Raises BadInput when the settings' manifests alone cannot be."""
    own = tuple(Declared(one, Source.FILE) for one in files)
    start_order(files)
    content = kept.read(WANTED)
    if not content:
        return Wanted(own)
    try:
        before = wanted_from_bytes(content)
        start_order(before.services)
    except BadInput as error:
        EVENTS.error("wanted_services_forgotten", reason=str(error))
        return Wanted(own)
    ordered = tuple(one for one in before.declared if one.source is not Source.FILE)
    names = {one.service.name for one in ordered}
    both = (*ordered, *(one for one in own if one.service.name not in names))
    known = {one.service.name for one in both}
    by_hand = {name: is_on for name, is_on in before.by_hand.items() if name in known}
    try:
        start_order(one.service for one in both)
    except BadInput as error:
        # Together they cannot be: what somebody ordered since outweighs files.
        EVENTS.error("service_manifests_refused", reason=str(error))
        return before
    return Wanted(both, by_hand, before.revision)


def read_records(kept: Kept, book: Book) -> None:
    """Take up the records of what is wanted.  Raises Unavailable when a change cannot be noted as tried."""
    for name, entry in book.entries.items():
        content = kept.read(record_name(name))
        if not content:
            continue
        try:
            record = record_from_bytes(content)
        except BadInput as error:
            EVENTS.error("service_record_forgotten", service=name, reason=str(error))
            continue
        if not _is_of(name, record):
            EVENTS.error(
                "service_record_forgotten", service=name, reason="it is of another service"
            )
            continue
        resumed = change.resumed(record)
        if resumed != record:
            kept.keep(record_name(name), record_to_bytes(resumed))
        entry.record = resumed


def _is_of(name: str, record: Record) -> bool:
    return all(one.name == name for one in change.versions(record).values())
