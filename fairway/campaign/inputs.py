"""A condition that is watched: the inputs of its expression, kept as samples and time come.

    samples > values, windows, rates      time > window ends, held      asked > isNull, custom functions
                        evaluate() > the expression over its inputs > a value, or None: undefined

Rule 1: an input is undefined until its campaign has seen a sample of it.
Rule 2: a rate is the change between the newest two samples, per second of drive time; samples of one time
        leave it as it was.
Rule 3: held is undefined while its condition is, and true from the moment its duration is over.
Rule 4: what is inside a held condition, or an argument of a custom function, is evaluated whenever the whole
        is, before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairway.campaign.functions import Calls
from fairway.campaign.windows import Window
from fairway.expression import campaign as language
from fairway.expression.campaign import Column, Expression, Value, is_true

Evaluate = Callable[[Sequence[Value | None]], Value | None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What the conditions of one campaign share."""

    stream_of: Callable[
        [str], int | None
    ]  # number of the stream of a signal, None: the vehicle lacks it
    tolerance: float
    window_ns: int
    start_ns: int  # drive time of the activation
    calls: Calls
    has_news: Callable[
        [int], bool | None
    ]  # of a stream: a sample not sent yet; None: there is none


@dataclass(slots=True)
class Rate:
    """The newest sample of a signal, and the rate it made."""

    values: list[Value | None]
    slot: int
    stream: int
    time_ns: int | None = None
    value: float = 0.0

    def sample(self, now_ns: int, value: Value) -> None:
        """Take a sample."""
        number = float(value)
        if self.time_ns is not None and now_ns > self.time_ns:
            self.values[self.slot] = (number - self.value) / ((now_ns - self.time_ns) / 1e9)
        self.time_ns, self.value = now_ns, number


@dataclass(slots=True)
class Windows:
    """The windows of a signal, and the inputs that show them."""

    values: list[Value | None]
    stream: int
    window: Window
    slots: list[tuple[int, language.Window]] = field(default_factory=list)

    def sample(self, now_ns: int, value: Value) -> None:
        """Take a sample."""
        self.window.add(now_ns, float(value))

    def end(self) -> None:
        """End the window."""
        self.window.end()
        self.show()

    def show(self) -> None:
        """Set the inputs to what the windows are now."""
        for slot, shown in self.slots:
            summary = self.window.previous if shown.previous else self.window.last
            self.values[slot] = None if summary is None else getattr(summary, shown.function)


@dataclass(slots=True)
class Held:
    """A condition, and since when it is true without a break."""

    slot: int
    level: "Level"
    duration_ns: int
    since_ns: int | None = None
    is_due: bool = False  # true, but not for long enough yet
    was_defined: bool = False

    @property
    def due_ns(self) -> int | None:
        """When it becomes true if nothing happens."""
        return (
            self.since_ns + self.duration_ns if self.is_due and self.since_ns is not None else None
        )

    def evaluate(self, now_ns: int) -> bool | None:
        """Return whether the condition has been true for long enough."""
        value = self.level.evaluate(now_ns)
        self.was_defined = value is not None
        if not is_true(value):
            self.since_ns, self.is_due = None, False
            return None if value is None else False
        if self.since_ns is None:
            self.since_ns = now_ns
        self.is_due = now_ns < self.since_ns + self.duration_ns
        return not self.is_due


@dataclass(frozen=True, slots=True)
class Call:
    """A custom function and what evaluates its arguments."""

    slot: int
    number: int
    name: str
    arguments: tuple["Level", ...]


@dataclass(slots=True)
class Level:
    """One expression and the values of its inputs; held conditions and arguments are levels below."""

    expression: Expression
    function: Evaluate
    tolerance: float
    calls: Calls
    has_news: Callable[[int], bool | None]
    values: list[Value | None]
    over_columns: Callable[[Sequence[Column]], Column] | None = None
    sources: dict[int, "int | Rate | Windows"] = field(
        default_factory=dict
    )  # by slot; int: a stream
    helds: list[Held] = field(default_factory=list)
    nulls: list[tuple[int, int]] = field(default_factory=list)  # slot, stream
    customs: list[Call] = field(default_factory=list)

    @property
    def columns(self) -> Callable[[Sequence[Column]], Column]:
        """The expression over columns of its inputs."""
        if self.over_columns is None:
            self.over_columns = language.columns(self.expression, tolerance=self.tolerance)
        return self.over_columns

    def evaluate(self, now_ns: int) -> Value | None:
        """Return the value of the expression now."""
        values = self.values
        for held in self.helds:
            values[held.slot] = held.evaluate(now_ns)
        for slot, stream in self.nulls:
            news = self.has_news(stream)
            values[slot] = None if news is None else not news
        for call in self.customs:
            arguments = [argument.evaluate(now_ns) for argument in call.arguments]
            values[call.slot] = self.calls.call(call.number, call.name, arguments)
        return self.function(values)


class Watch:
    """A condition of a campaign and its inputs."""

    def __init__(self, expression: Expression, setting: Setting) -> None:
        self.expression = expression
        self._setting = setting
        self.variables: dict[int, list[tuple[list[Value | None], int]]] = {}
        self.samplers: dict[int, list[Rate | Windows]] = {}
        self.windows: list[Windows] = []
        self.helds: list[Held] = []
        self.is_asking = False  # isNull or a custom function: only asking tells
        self.result: Value | None = None
        self.evaluated_ns: int | None = None
        self.top = self._level(expression)
        self.is_timed = bool(self.windows or self.helds)
        named = (setting.stream_of(name) for name in expression.signals)
        self.streams = frozenset(stream for stream in named if stream is not None)

    def sample(self, stream: int, now_ns: int, value: Value) -> None:
        """Take a sample."""
        for values, slot in self.variables.get(stream, ()):
            values[slot] = value
        for sampler in self.samplers.get(stream, ()):
            sampler.sample(now_ns, value)

    @property
    def due_ns(self) -> int | None:
        """When time alone may change it."""
        due = [windows.window.due_ns for windows in self.windows]
        due += [
            held.since_ns + held.duration_ns
            for held in self.helds
            if held.is_due and held.since_ns is not None
        ]
        return min((one for one in due if one is not None), default=None)

    def is_due(self, now_ns: int) -> bool:
        """Return whether time alone may have changed it."""
        due_ns = self.due_ns
        return due_ns is not None and due_ns <= now_ns

    def tick(self, now_ns: int) -> None:
        """Take that it is `now_ns`; due_ns was not before."""
        for windows in self.windows:
            due_ns = windows.window.due_ns
            if due_ns is not None and due_ns <= now_ns:
                windows.end()

    def evaluate(self, now_ns: int) -> bool:
        """Return whether the condition is true now."""
        self.evaluated_ns = now_ns
        self.result = self.top.evaluate(now_ns)
        return is_true(self.result)

    def _level(self, expression: Expression) -> Level:
        setting = self._setting
        level = Level(
            expression,
            language.scalar(expression, tolerance=setting.tolerance),
            setting.tolerance,
            setting.calls,
            setting.has_news,
            [None] * len(expression.inputs),
        )
        for slot, one in enumerate(expression.inputs):
            self._wire(level, slot, one)
        return level

    def _wire(self, level: Level, slot: int, one: language.Input) -> None:
        if isinstance(one, language.Held):
            held = Held(slot, self._level(one.condition), one.duration_ns)
            level.helds.append(held)
            self.helds.append(held)
        elif isinstance(one, language.Custom):
            self.is_asking = True
            arguments = tuple(self._level(argument) for argument in one.arguments)
            level.customs.append(Call(slot, self._setting.calls.numbered(), one.name, arguments))
        else:
            stream = self._setting.stream_of(one.name)
            self.is_asking |= isinstance(one, language.IsNull)
            if stream is not None:
                self._listen(level, slot, one, stream)

    def _listen(self, level: Level, slot: int, one: language.Input, stream: int) -> None:
        values = level.values
        if isinstance(one, language.Variable):
            self.variables.setdefault(stream, []).append((values, slot))
            level.sources[slot] = stream
        elif isinstance(one, language.IsNull):
            level.nulls.append((slot, stream))
        elif isinstance(one, language.Rate):
            rate = level.sources[slot] = Rate(values, slot, stream)
            self.samplers.setdefault(stream, []).append(rate)
        elif isinstance(one, language.Window):
            windows = level.sources[slot] = self._windows(level, stream)
            windows.slots.append((slot, one))

    def _windows(self, level: Level, stream: int) -> Windows:
        for sampler in self.samplers.setdefault(stream, []):
            if isinstance(sampler, Windows) and sampler.values is level.values:
                return sampler
        windows = Windows(
            level.values, stream, Window(self._setting.window_ns, self._setting.start_ns)
        )
        self.samplers[stream].append(windows)
        self.windows.append(windows)
        return windows
