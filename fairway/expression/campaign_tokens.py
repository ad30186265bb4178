"""The campaign language's text cut into tokens, each with the position of its first and last character.

    !isNull($variable.`Gear`)      sign "!", word "isNull", sign "(", variable "Gear", sign ")", end

Rule 1: what is no token is a BadInput that says at which character, and what was probably meant.
Rule 2: every pattern is linear: a text of any kind is cut in one pass.
"""

import re
from dataclasses import dataclass

from fairway.errors import BadInput

# As in the FleetWise API.
NAME_MAX_CHARACTERS = 150
NAME = re.compile(r"[^`\x00-\x1f\x7f\ud800-\udfff]+")

_TOKEN = re.compile(
    r"[ \t\r\n]*"
    r"(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|\$variable\.`(?P<variable>{NAME.pattern})`"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<text>'(?:[^'\\\x00-\x1f\x7f\ud800-\udfff]|\\[^\x00-\x1f\x7f\ud800-\udfff])*'"
    r'|"(?:[^"\\\x00-\x1f\x7f\ud800-\udfff]|\\[^\x00-\x1f\x7f\ud800-\udfff])*")'
    r"|(?P<sign>&&|\|\||<=|>=|==|!=|[-+*/<>!(),])"
    r"|(?P<end>\Z))"
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_MEANT = {
    "$": "a signal is written $variable.`Name`",
    "`": "a signal is written $variable.`Name`",
    "=": "equality is written ==",
    "&": "and is written &&",
    "|": "or is written ||",
    "%": "there is no remainder here",
    "'": "this text is not closed by ' before its line ends",
    '"': 'this text is not closed by " before its line ends',
}


@dataclass(frozen=True, slots=True)
class Token:
    """A number, variable, word, text, sign or the end; texts come without quotes and escapes."""

    kind: str
    text: str
    first: int
    last: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text`; the last one is the end.  Raises BadInput."""
    found = []
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadInput(_unknown(text, position))
        kind = match.lastgroup
        assert kind is not None
        content = match[kind]
        position = match.end()
        first = match.start(kind) - (len("$variable.`") if kind == "variable" else 0) + 1
        if kind == "text":
            content = _unescaped(content, first)
        if kind == "variable" and len(content) > NAME_MAX_CHARACTERS:
            raise BadInput(
                f"character {first}: a signal's name has more than {NAME_MAX_CHARACTERS} characters"
            )
        found.append(Token(kind, content, first, max(position, first)))
        if kind == "end":
            return found


def _unknown(text: str, position: int) -> str:
    while text[position] in " \t\r\n":
        position += 1
    sign = text[position]
    meant = _MEANT.get(sign, "signals, numbers, texts in quotes, operators and functions are")
    return f"character {position + 1}: {sign!r} is not understood here; {meant}"


def _unescaped(quoted: str, first: int) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1 and code in _ESCAPED:
            return _ESCAPED[code]
        number = int(code[1:], 16) if len(code) > 1 else -1
        if 0 <= number < 0xD800 or 0xDFFF < number <= 0x10FFFF:
            return chr(number)
        known = r"\\ \' \" \n \r \t \x41 \u0041 \U00000041"
        raise BadInput(
            f"character {first + 1 + match.start()}: \\{code} is no escape; known: {known}"
        )

    return _ESCAPE.sub(plain, quoted[1:-1])
