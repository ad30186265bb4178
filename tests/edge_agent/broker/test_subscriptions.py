"""Who is told of what: whatever is subscribed, published, read and closed, values, order and counts hold."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.broker.changes import Changes
from edge_agent.broker.subscriptions import Subscriptions

SIGNALS = 6
some = st.sets(st.integers(0, SIGNALS - 1), min_size=1)


class Expected:
    """A subscriber as plainly as it can be said: messages in a list."""

    def __init__(self, ids, buffer, interval_ns):
        self.ids, self.buffer, self.interval_ns = ids, buffer, interval_ns
        self.waiting, self.dropped, self.due_ns, self.wakes = [], 0, 0, 0

    def offer(self, message):
        self.waiting.append(message)
        if self.buffer and not self.interval_ns and len(self.waiting) > self.buffer + 1:
            self.dropped += len(self.waiting.pop(0))

    def take(self, now_ns):
        if not self.waiting or now_ns < self.due_ns:
            return None
        self.due_ns = now_ns + self.interval_ns
        if self.buffer and not self.interval_ns:
            return self.waiting.pop(0)
        newest: dict[int, float] = {}
        for message in self.waiting:
            for number, value in message:
                newest.pop(number, None)
                newest[number] = value
        self.dropped += sum(map(len, self.waiting)) - len(newest)
        self.waiting.clear()
        return list(newest.items())


class Traffic(RuleBasedStateMachine):
    """Apps come, publish, read, are slow, and go."""

    def __init__(self):
        super().__init__()
        self.all = Subscriptions(SIGNALS)
        self.open = []
        self.now_ns, self.value, self.lost = 0, 0, 0

    @rule(ids=some, buffer=st.sampled_from([0, 1, 3]), interval_ns=st.sampled_from([0, 5]))
    def subscribe(self, ids, buffer, interval_ns):
        expected = Expected(ids, buffer, interval_ns)

        def wake():
            expected.wakes += 1

        real = self.all.open(ids, wake, buffer=buffer, interval_ns=interval_ns)
        self.open.append((real, expected))

    @rule(
        ids=st.lists(st.integers(0, SIGNALS - 1), min_size=1, unique=True),
        repeat=st.integers(1, 12),
    )
    def publish(self, ids, repeat):
        for _ in range(repeat):
            self.value += 1
            pairs = [(number, float(self.value * 10 + number)) for number in ids]
            self.all.publish(
                Changes(
                    np.array(ids, np.int32),
                    np.full(len(ids), self.value, np.int64),
                    np.array([value for _, value in pairs]),
                    np.ones(len(ids), np.bool_),
                    {number: str(value) for number, value in pairs if number == 0},
                )
            )
            for _, expected in self.open:
                its = [pair for pair in pairs if pair[0] in expected.ids]
                if its:
                    expected.offer(its)

    @rule(which=st.integers(0, 99), passes_ns=st.integers(0, 4))
    def read(self, which, passes_ns):
        self.now_ns += passes_ns
        if not self.open:
            return
        real, expected = self.open[which % len(self.open)]
        message, told = real.take(self.now_ns), expected.take(self.now_ns)
        if told is None:
            assert message is None
            return
        rows = range(len(message.of)) if message.rows is None else message.rows
        got = [(int(message.of.ids[row]), float(message.of.value[row])) for row in rows]
        assert got == told
        for number, value in got:
            assert number != 0 or message.of.objects[0] == str(value)

    @rule(which=st.integers(0, 99))
    def close(self, which):
        if self.open:
            real, _ = self.open.pop(which % len(self.open))
            before = self.all.dropped
            self.all.close(real)
            self.all.close(real)
            assert self.all.dropped == before

    @invariant()
    def nothing_is_forgotten(self):
        watched = set().union(*(expected.ids for _, expected in self.open))
        assert set(self.all.is_watched.nonzero()[0].tolist()) == watched
        assert len(self.all) == len(self.open)
        for real, expected in self.open:
            assert bool(len(real)) == bool(expected.waiting)
            assert not expected.waiting or expected.wakes
            if expected.buffer and not expected.interval_ns:
                assert (len(real), real.dropped) == (len(expected.waiting), expected.dropped)
            elif not expected.waiting:
                assert real.dropped == expected.dropped
            assert real.wait_ns(self.now_ns) == (
                max(0, expected.due_ns - self.now_ns) if expected.waiting else None
            )


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
