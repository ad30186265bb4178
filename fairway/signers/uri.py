"""Names of keys as URIs: `scheme:path?query`, both of them percent-encoded attributes (RFC 7512)."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fairway.errors import BadInput

# Tokens, objects and ARNs are short; a longer name is not one.
URI_MAX_CHARS = 2048


@dataclass(frozen=True, slots=True)
class KeyUri:
    """A name of a key, taken apart: `path` before the question mark, `query` behind it."""

    text: str
    path: dict[str, str]
    query: dict[str, str]

    def need(self, name: str) -> str:
        """Return an attribute.  Raises BadInput when it is missing."""
        found = self.path.get(name) or self.query.get(name)
        if not found:
            raise BadInput(f"{self.text!r} does not say {name}=, which such a key needs")
        return found


def key_uri(text: str, scheme: str, *, path: frozenset[str], query: frozenset[str]) -> KeyUri:
    """Take `text` apart; `path` and `query` are the attributes known there.  Raises BadInput."""
    body = text.removeprefix(f"{scheme}:")
    if body == text or len(text) > URI_MAX_CHARS:
        raise BadInput(
            f"{text[:80]!r} is not the name of a key in {scheme}: it begins with {scheme}:"
        )
    before, _, behind = body.partition("?")
    return KeyUri(
        text[:200],
        _attributes(text, before, ";", path),
        _attributes(text, behind, "&", query),
    )


def secret_of(uri: KeyUri, name: str) -> str:
    """Return the first line of the file that attribute `name` names.  Raises BadInput."""
    path = Path(uri.need(name).removeprefix("file:"))
    try:
        return path.read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the secret in {path}: {error}") from error


def _attributes(text: str, part: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in part.split(separator):
        if not item:
            continue
        name, equals, value = item.partition("=")
        if not equals or name not in known or name in found:
            raise BadInput(
                f"{text[:200]!r} has {item[:40]!r}: known there, once each, are {', '.join(sorted(known))}"
            )
        found[name] = unquote(value)
    return found
