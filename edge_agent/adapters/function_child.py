"""The program inside a process of functions: it goes behind the walls, then answers one request at a time.

    python -I -S -c "... from edge_agent.adapters.function_child import main; main(...)"
        requests on 0      answers on 1      what functions print on 2

Rule 1: everything that functions may import is imported before the walls stand: no file can be opened after.
Rule 2: foreign code runs after the agent was told which walls hold, and has agreed by sending the sources.
Rule 3: this is no wall: foreign code shares the interpreter and may break it.  The kernel holds it, and the
        agent believes nothing that comes out (messages.py).
"""

import contextlib
import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any

from edge_agent.adapters import function_jail
from edge_agent.functions import messages
from edge_agent.functions.limits import PLACES_MAX

# What computes and nothing else; docs/explanation/custom-functions.md says the same list.
IMPORTABLE = (
    "array",
    "base64",
    "binascii",
    "bisect",
    "cmath",
    "collections",
    "collections.abc",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "time",
    "types",
    "typing",
    "zlib",
)
# What those import when they are first used.
_USED_LATER = (
    "_strptime",
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.utf_16",
    "unicodedata",
)
# What only the walls needed.
_DROPPED = ("ctypes", "_ctypes", "resource", function_jail.__name__)

_READ_BYTES = 65_536

# What Python raises without a word.
_SAID_OF: dict[type[BaseException], str] = {MemoryError: "it needs more memory than it may use"}


def main(memory_max_bytes: int, nice: int) -> None:
    """Serve until the agent closes its end."""
    for name in IMPORTABLE + _USED_LATER:
        importlib.import_module(name)
    walls = function_jail.enclose(memory_max_bytes, nice)
    for name in _DROPPED:
        sys.modules.pop(name, None)
    sys.path.clear()
    sys.stdout = sys.stderr  # what functions print is no answer
    _write({"walls": walls})
    served = _Served()
    while (request := _read()) is not None:
        _write(served.answer(request))


class _Served:
    """The sources, and a module for each place that calls one: its globals are its own."""

    def __init__(self) -> None:
        self._codes: dict[str, Any] = {}
        self._modules: dict[int, ModuleType] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "sources" in request:
            return {"refused": self._load(request["sources"])}
        if "cleanup" in request:
            self._clean_up()
            return {}
        results = self._call(request["place"], request["name"], request["rows"])
        return {"number": request["number"], **results}

    def _load(self, sources: dict[str, str]) -> str:
        for name, source in sources.items():
            try:
                self._codes[name] = compile(source, f"<function {name}>", "exec", dont_inherit=True)
            except BaseException as error:  # noqa: BLE001 - foreign code may raise what it likes
                return f"function {name}: {_words(error)}"
        return ""

    def _call(self, place: int, name: str, rows: list[list[Any]]) -> dict[str, Any]:
        values: list[Any] = []
        texts: list[tuple[int, dict[str, str]]] = []
        errors, first_error = 0, ""
        for number, row in enumerate(rows):
            try:
                value, said = _result(self._module(place, name).invoke(*row))
            except BaseException as error:  # noqa: BLE001 - sys.exit() is an error here too
                value, said = None, {}
                errors += 1
                first_error = first_error or f"function {name}: {_words(error)}"
            values.append(value)
            if said:
                texts.append((number, said))
        return {"values": values, "texts": texts, "errors": errors, "error": first_error}

    def _module(self, place: int, name: str) -> ModuleType:
        module = self._modules.get(place)
        if module is None:
            if len(self._modules) >= PLACES_MAX:
                raise MemoryError(f"more than {PLACES_MAX} calls in one campaign")
            module = ModuleType(name)
            exec(self._codes[name], module.__dict__)  # noqa: S102 - what this process is for
            if not callable(getattr(module, "invoke", None)):
                raise TypeError("there is no function `invoke` in it")
            self._modules[place] = module
        return module

    def _clean_up(self) -> None:
        for module in self._modules.values():
            clean = getattr(module, "cleanup", None)
            if callable(clean):
                with contextlib.suppress(BaseException):
                    clean()
        self._modules.clear()


def _result(returned: object) -> tuple[object, dict[str, str]]:
    if not isinstance(returned, tuple):
        return _value(returned), {}
    if len(returned) < 2:
        raise TypeError("invoke returned a tuple of one; return a value, or a value and a dict")
    return _value(returned[0]), _said(returned[1])


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return float(value)
    kind = type(value).__name__
    raise TypeError(f"invoke returned a {kind}; return None, a bool, a number or a str")


def _said(texts: object) -> dict[str, str]:
    if not isinstance(texts, dict) or not all(
        isinstance(part, str) for pair in texts.items() for part in pair
    ):
        raise TypeError("the second value that invoke returned is not a dict of texts by signal")
    if len(texts) > messages.TEXTS_MAX:
        raise TypeError(f"invoke returned more than {messages.TEXTS_MAX} signals")
    return texts


def _words(error: BaseException) -> str:
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("<function "):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    try:
        said = str(error) or _SAID_OF.get(type(error), "")
    except BaseException:  # noqa: BLE001 - an error of theirs that cannot even be shown
        said = ""
    where = f"line {line}: " if line else ""
    return f"{where}{type(error).__name__}: {said}"[: messages.SENTENCE_MAX_CHARACTERS]


def _read() -> dict[str, Any] | None:
    data = b""
    needed = messages.HEADER_BYTES
    while len(data) < needed:
        part = os.read(0, _READ_BYTES)
        if not part:
            return None
        data += part
        if needed == messages.HEADER_BYTES <= len(data):
            needed += int.from_bytes(data[:needed], "big")
    request: dict[str, Any] = json.loads(data[messages.HEADER_BYTES :])
    return request


def _write(answer: dict[str, Any]) -> None:
    data = messages.framed(answer)
    if len(data) > messages.HEADER_BYTES + messages.ANSWER_MAX_BYTES:
        rows = len(answer["values"])
        said = f"its answer is over the limit of {messages.ANSWER_MAX_BYTES} bytes"
        data = messages.framed(
            {**answer, "values": [None] * rows, "texts": [], "errors": rows, "error": said}
        )
    while data:
        data = data[os.write(1, data) :]
