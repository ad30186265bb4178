"""How AWS IoT Core reads a policy, as far as ours go (developer guide: policy actions, resources, variables).

Deny by default; a Deny beats every Allow; `*` and `?` are wildcards, `+` and `#` of MQTT are not; a statement
with a variable that the connection has no value for is not for it.
"""

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def allowed(
    policy: Mapping[str, Any], action: str, resource: str, values: Mapping[str, str]
) -> bool:
    """Say whether `policy` lets a connection with `values` do `action` to the whole ARN `resource`."""
    answers = {
        statement["Effect"]
        for statement in policy["Statement"]
        if action in _list(statement["Action"])
        and any(_matches(pattern, resource, values) for pattern in _list(statement["Resource"]))
    }
    return "Allow" in answers and "Deny" not in answers


def _list(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _matches(pattern: str, resource: str, values: Mapping[str, str]) -> bool:
    if any(name not in values for name in _VARIABLE.findall(pattern)):
        return False
    parts = []
    at = 0
    for found in _VARIABLE.finditer(pattern):
        parts += [_wild(pattern[at : found.start()]), re.escape(values[found.group(1)])]
        at = found.end()
    parts.append(_wild(pattern[at:]))
    return re.fullmatch("".join(parts), resource, re.DOTALL) is not None


def _wild(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
