r"""The statements of a DBC file, one regular expression each.

Rule 1: a repetition of single characters is possessive (`*+`), and the parts of a repeated group exclude each
        other, so no text, however odd, is read more than a few times over.  No group is possessive itself:
        Python 3.11.0 to 3.11.4 (Debian 12 has 3.11.2) lose matches there.
Rule 2: what a careless writer leaves out (a semicolon, a range, the receivers) may be missing.
Rule 3: a name is what stands between blanks; judging it is not the grammar's business.
"""

import re

_NAME = r'([^\s:;,"\\]{1,200}+)'
_STRING = r'"((?:[^"\\]|\\.)*)"'
_NUMBER = r"(\d{1,10})(?!\d)"
_END = r"(\s*+;)?"
_ENTRIES = r'((?:\s*+[-+.\w]++\s*+"(?:[^"\\]|\\.)*")*)'  # value table: number "text" ...


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.DOTALL)


# Everything a DBC file may begin a statement with.
KEYWORDS = frozenset({
    "VERSION", "NS_", "BS_", "BU_", "BO_", "SG_", "CM_", "VAL_", "VAL_TABLE_", "BA_", "BA_DEF_",
    "BA_DEF_DEF_", "SIG_VALTYPE_", "SG_MUL_VAL_", "BO_TX_BU_", "NS_DESC_", "CAT_DEF_", "CAT_", "FILTER",
    "EV_", "EV_DATA_", "ENVVAR_DATA_", "SGTYPE_", "SGTYPE_VAL_", "BA_DEF_SGTYPE_", "BA_SGTYPE_",
    "SIG_TYPE_REF_", "SIG_GROUP_", "SIGTYPE_VALTYPE_", "BA_DEF_REL_", "BA_REL_", "BA_DEF_DEF_REL_",
    "BU_SG_REL_", "BU_EV_REL_", "BU_BO_REL_",
})  # fmt: skip
_ANY_KEYWORD = "|".join(sorted(KEYWORDS, key=len, reverse=True))

# Between statements: blanks, stray semicolons and line comments.
GAP = _compiled(r"(?:[\s;\ufeff\0\x1a]++|//[^\n]*+)*")
WORD = _compiled(r"[A-Za-z_0-9]++")
# Where reading goes on after something unreadable; a bare word on its own line belongs to NS_.
NEXT_STATEMENT = re.compile(
    rf"^[ \t]*+(?=(?:{_ANY_KEYWORD})(?![A-Za-z_0-9])(?![ \t]*+\r?$))", re.ASCII | re.MULTILINE
)
# A statement that says nothing to us ends at its semicolon, else with its line.
PASSED_OVER = _compiled(r'(?:[^";\n]++|"(?:[^"\\\n]|\\[^\n])*"|")*;?+')

NEW_SYMBOLS = _compiled(r"NS_\s*+:?[^\n]*+(?:\n[ \t]*+[A-Z_]*+[ \t\r]*+(?=\n))*")
NODES = _compiled(rf"BU_\s*+:(?:\s*+(?!(?:{_ANY_KEYWORD})(?![A-Za-z_0-9]))[^\s;,]++,?+)*")

MESSAGE = _compiled(
    rf"BO_\s++{_NUMBER}\s++{_NAME}\s*+:\s*+(0[xX][0-9a-fA-F]{{1,8}}|\d{{1,9}})(?!\w)[ \t]*+([^\n]*+)"
)
SIGNAL = _compiled(
    r'SG_\s++([^\s:;"\\]{1,200}+)'
    r"(?:\s++(M|m\d{0,10}M?)(?=[\s:]))?\s*+:"
    r"\s*+(\d{1,9})\s*+\|\s*+(\d{1,9})\s*+@\s*+([01])\s*+([-+])?"
    r'(?:\s*+\(([^,()"\n]*+),([^,()"\n]*+)\))?'
    r'(?:\s*+\[([^|\]"\n]*+)\|([^|\]"\n]*+)\])?'
    rf"(?:\s*+{_STRING})?"
    r"([^\n]*+)"
)
COMMENT = _compiled(
    rf"CM_\s*+(?:(BU_|EV_)\s*+{_NAME}|(BO_|SG_)?\s*+{_NUMBER}(?:\s++{_NAME})?)?\s*+{_STRING}{_END}"
)
CHOICES = _compiled(rf"VAL_\s++(?:{_NUMBER}\s++)?{_NAME}{_ENTRIES}{_END}")
TABLE = _compiled(rf"VAL_TABLE_\s++{_NAME}{_ENTRIES}{_END}")
ENTRY = _compiled(rf"\s*+([-+.\w]++)\s*+{_STRING}")
ATTRIBUTE = _compiled(
    rf"BA_\s*+{_STRING}\s*+(?:(BU_|EV_)\s++{_NAME}\s*+|(BO_)\s++{_NUMBER}\s*+|"
    rf'(SG_)\s++{_NUMBER}\s++{_NAME}\s*+)?("(?:[^"\\]|\\.)*"|[^\s;"]++){_END}'
)
ATTRIBUTE_DEFINITION = _compiled(
    rf'BA_DEF_\s*+(?:(?:BU_|BO_|SG_|EV_)\s*+)?{_STRING}\s*+(\w++)([^";\n]*+(?:"[^"]*+"[^";\n]*+)*){_END}'
)
ATTRIBUTE_DEFAULT = _compiled(rf'BA_DEF_DEF_\s*+{_STRING}\s*+("(?:[^"\\]|\\.)*"|[^\s;"]++)?{_END}')
VALUE_TYPE = _compiled(rf"SIG_VALTYPE_\s++{_NUMBER}\s++{_NAME}\s*+:?\s*+(\d)\s*+{_END}")
MULTIPLEX_RANGE = _compiled(
    rf"SG_MUL_VAL_\s++{_NUMBER}\s++{_NAME}\s++{_NAME}\s++([-,\d \t\r\n]++){_END}"
)
RANGE = _compiled(r"(\d{1,20})(?!\d)(?:\s*+-\s*+(\d{1,20})(?!\d))?")
SENDERS = _compiled(rf'BO_TX_BU_\s++{_NUMBER}\s*+:([^;\n"]*+){_END}')

_ESCAPED = re.compile(r'\\(["\\])')


def unescaped(text: str) -> str:
    """Return a string's text as its writer meant it."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def unquoted(value: str) -> str:
    """Return an attribute value without its quotes, if it has them."""
    return unescaped(value[1:-1]) if value[:1] == '"' else value
