"""The release file: what a release is made of, in TOML, kept beside the code.

    name = "head-unit"   version = "1.4.0"   [[component]] kind = "container" name = ... path = ...

Rule 1: a path in it is meant from where the file lies; what it does not know is refused with its place.
Rule 2: what it does not say has the default of ota/manifest.py, so that both never differ.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairway.errors import BadInput
from fairway.services.fields import Table
from ota.custom import (
    CONDITIONS_MAX,
    DURATION_MAX_S,
    HARDWARE_MAX,
    LANGUAGES_MAX,
    NAME_MAX_CHARS,
    NUMBER_MAX,
    PATH_MAX_CHARS,
    REQUIREMENTS_MAX,
    RXSWIN_MAX,
    named_pairs,
)
from ota.manifest import Install, Kind, Requirement
from ota.release.plan import RELEASES

COMPONENTS_MAX = 256
ADDRESS_MAX = (1 << 64) - 1
_INSTALL = Install()


@dataclass(frozen=True, slots=True)
class Component:
    """One image of a release, before it is built."""

    kind: Kind
    name: str
    version: str
    path: Path
    said_path: str  # as the file has it: what provenance names
    hardware_ids: tuple[str, ...]
    release_counter: int | None = None  # None: one more than the highest so far
    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()
    install: Install = _INSTALL
    rxswin: tuple[str, ...] = ()
    service: Path | None = None
    platform: str = ""
    sbom: Path | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A release, before it is built."""

    name: str
    version: str
    components: tuple[Component, ...]
    role: str = RELEASES
    purpose: str = ""
    user_text: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> tuple[Release, bytes]:
    """Return the release that a file says, and its bytes.  Raises BadInput."""
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}") from error
    return _release(Table(document, "", path.name), path.parent), data


def _release(table: Table, beside: Path) -> Release:
    name, version = _word(table, "name"), _word(table, "version")
    found = table.tables(
        "component", lambda inner: _component(inner, beside, version), most=COMPONENTS_MAX
    )
    if not found:
        raise table.wrong("component", "is missing: a release has one [[component]] at least")
    names = [one.name for one in found]
    twice = [one for one in names if names.count(one) > 1]
    if twice:
        raise table.wrong("component", f"{twice[0]} stands there twice: give each its own name")
    if name in names:
        raise table.wrong("name", "is a component's name, too: give the release its own")
    release = Release(
        name=name,
        version=version,
        components=found,
        role=table.text("role", RELEASES, most=NAME_MAX_CHARS),
        purpose=table.text("purpose", ""),
        user_text=_user_text(table),
    )
    table.nothing_else()
    return release


def _component(table: Table, beside: Path, version: str) -> Component:
    if table.text("kind") not in {kind.value for kind in Kind if kind is not Kind.BUNDLE}:
        raise table.wrong("kind", "is none: choose from container, slot, uds_ecu, file")
    kind = table.choice("kind", Kind.FILE)
    said_path = table.text("path", most=PATH_MAX_CHARS)
    made = Component(
        kind=kind,
        name=_word(table, "name"),
        version=_word(table, "version", version),
        path=beside / said_path,
        said_path=said_path,
        hardware_ids=table.texts("hardware_ids", most=HARDWARE_MAX, chars=NAME_MAX_CHARS),
        release_counter=table.whole("release_counter", 0, least=1, most=NUMBER_MAX) or None,
        requires=table.tables("requires", _requirement, most=REQUIREMENTS_MAX),
        conflicts=table.tables("conflicts", _requirement, most=REQUIREMENTS_MAX),
        install=_install(table.table("install")),
        rxswin=table.texts("rxswin", most=RXSWIN_MAX, chars=NAME_MAX_CHARS),
        service=_path(table, "service", beside),
        platform=table.text("platform", "", most=NAME_MAX_CHARS),
        sbom=_path(table, "sbom", beside),
        address=table.whole("address", 0, least=0, most=NUMBER_MAX) if "address" in table else None,
    )
    if not made.hardware_ids:
        raise table.wrong("hardware_ids", "is missing: name the hardware that this is for")
    only = ((Kind.CONTAINER, "service"), (Kind.CONTAINER, "platform"), (Kind.FIRMWARE, "address"))
    for other, key in only:
        if key in table and kind is not other:
            raise table.wrong(key, f"goes with kind {other}: leave it out")
    return made


def _requirement(table: Table) -> Requirement:
    least = table.whole("counter_min", 0, least=0, most=NUMBER_MAX)
    most = None
    if "counter_max" in table:
        most = table.whole("counter_max", None, least=least, most=NUMBER_MAX)
    return Requirement(_word(table, "name"), least, most)


def _install(table: Table) -> Install:
    made = Install(
        order=table.whole("order", _INSTALL.order, least=-1_000_000, most=1_000_000),
        group=table.text("group", _INSTALL.group, most=NAME_MAX_CHARS),
        conditions=table.texts("conditions", most=CONDITIONS_MAX, chars=NAME_MAX_CHARS),
        duration_max_s=table.whole(
            "duration_max_s", _INSTALL.duration_max_s, least=1, most=DURATION_MAX_S
        ),
        user_text=_user_text(table),
        needs_consent=table.yes("needs_consent", default=_INSTALL.needs_consent),
        is_safety=table.yes("is_safety", default=_INSTALL.is_safety),
    )
    table.nothing_else()
    return made


def _user_text(table: Table) -> dict[str, str]:
    pairs = named_pairs(table, "user_text", most=LANGUAGES_MAX)
    return {language: inner.text(language) for language, inner in pairs}


def _word(table: Table, key: str, default: str | None = None) -> str:
    """Names and versions become parts of paths."""
    said = table.text(key, default, most=NAME_MAX_CHARS)
    if (
        not all(one.isalnum() or one in "._+-" for one in said)
        or not said[0].isalnum()
        or not said.isascii()
    ):
        raise table.wrong(key, f"is {said!r:.80}: use letters, digits and . _ + -")
    return said


def _path(table: Table, key: str, beside: Path) -> Path | None:
    said = table.text(key, "", most=PATH_MAX_CHARS)
    return beside / said if said else None
