"""YAML as mapping files need it: tables, lists and values, and nothing that YAML can be abused for.

Rule 1: anchors and aliases are refused: a file of a kilobyte could otherwise stand for gigabytes.
Rule 2: only true and false are booleans (YAML 1.2): ON and OFF are names in value tables.
Rule 3: a key that stands twice in one table is reported; the last one holds.
"""

import re
from typing import Any

import yaml

from fairway.catalog.model import MappingProblem
from fairway.errors import BadInput

# Deeper than any mapping; libyaml composes recursively on the C stack.
YAML_MAX_DEPTH = 64

_BOOL = "tag:yaml.org,2002:bool"
# libyaml where PyYAML has it: ten times faster.
_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FastLoader):  # type: ignore[misc]
    """The safe loader, with the booleans of YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and form are PyYAML's
        first: [rule for rule in rules if rule[0] != _BOOL]
        for first, rules in _FastLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF")


def yaml_tree(text: str, *, name: str, problems: list[MappingProblem]) -> Any:
    """Return what `text` says.  Raises BadInput naming the file and the line."""
    try:
        _check(text, name, problems)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, see above
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise BadInput(f"{name} is not YAML: {line}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{name} is not YAML: {reason[:200]}") from error


def _check(text: str, name: str, problems: list[MappingProblem]) -> None:
    """Walk the events, which no alias multiplies and no depth can hurt."""
    # One entry for each open table or list: the keys so far, and whether a key comes next; lists have None.
    open_tables: list[tuple[set[str], list[bool]] | None] = []
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise BadInput(
                f"{name}, line {line}: anchors and aliases (& and *) are refused: write it out"
            )
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            open_tables.pop()
            continue
        if isinstance(event, yaml.NodeEvent) and open_tables and open_tables[-1] is not None:
            _note_key(event, open_tables[-1], f"{name}, line {line}", problems)
        if isinstance(event, yaml.CollectionStartEvent):
            is_table = isinstance(event, yaml.MappingStartEvent)
            open_tables.append((set(), [True]) if is_table else None)
            if len(open_tables) > YAML_MAX_DEPTH:
                raise BadInput(f"{name}, line {line}: nested deeper than {YAML_MAX_DEPTH} levels")
    for number, written in enumerate(text.splitlines(), 1):
        if written.startswith("#include"):
            what = "#include is not followed here: expand the file with vss-tools first"
            problems.append(MappingProblem(f"{name}, line {number}", what))


def _note_key(
    event: yaml.NodeEvent,
    table: tuple[set[str], list[bool]],
    where: str,
    problems: list[MappingProblem],
) -> None:
    keys, key_is_next = table
    if key_is_next[0] and isinstance(event, yaml.ScalarEvent):
        if event.value in keys:
            problems.append(
                MappingProblem(where, f"{event.value:.80} stands twice; the last one holds")
            )
        keys.add(event.value)
    key_is_next[0] = not key_is_next[0]
