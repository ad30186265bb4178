"""Whatever order repositories publish, replay and mix files in: what a vehicle trusts never turns back."""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ota.trust.model import Plan, Refusal, Repository
from tests.ota.repository_simulator import World

SIDES = st.sampled_from(["director", "images"])


class Replays(RuleBasedStateMachine):
    """A world whose server gives away old files as gladly as new ones."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.release("brake/2.bin", "brake-fw", 2, hardware="brake")
        self.world.order("br-1", "brake/2.bin")
        self.world.publish()
        self.world.look()
        self.archive: dict[str, list[dict[str, bytes]]] = {"director": [], "images": []}
        self.highest: dict[Any, int] = {}
        self.director_version = 0

    @rule(side=SIDES)
    def publish(self, side: str) -> None:
        repository = getattr(self.world, side)
        self.archive[side].append(dict(repository.files))
        repository.publish()

    @rule(side=SIDES, data=st.data())
    def replay_all(self, side: str, data: st.DataObject) -> None:
        if self.archive[side]:
            files = data.draw(st.sampled_from(self.archive[side]))
            getattr(self.world, side).files = dict(files)

    @rule(side=SIDES, data=st.data())
    def replay_one(self, side: str, data: st.DataObject) -> None:
        if self.archive[side]:
            files = data.draw(st.sampled_from(self.archive[side]))
            name = data.draw(st.sampled_from(sorted(files)))
            getattr(self.world, side).files[name] = files[name]

    @rule(side=SIDES, data=st.data())
    def withhold(self, side: str, data: st.DataObject) -> None:
        files = getattr(self.world, side).files
        if files:
            files.pop(data.draw(st.sampled_from(sorted(files))))

    @rule()
    def look(self) -> None:
        verdict = self.world.look()
        assert isinstance(verdict, (Plan, Refusal))
        if isinstance(verdict, Plan):
            assert verdict.director_version >= self.director_version
            assert [one.image.path for one in verdict.assigned] == ["brake/2.bin"]
            self.director_version = verdict.director_version

    @rule()
    def an_honest_server_is_believed_again(self) -> None:
        for side in ("director", "images"):
            getattr(self.world, side).publish()  # each role one version later than ever
        verdict = self.world.look()
        assert isinstance(verdict, Plan), str(verdict)
        self.director_version = verdict.director_version

    @invariant()
    def nothing_that_is_trusted_turns_back(self) -> None:
        for key, content in self.world.kept.roles.items():
            version = json.loads(content)["signed"]["version"]
            assert version >= self.highest.get(key, 0)
            self.highest[key] = version
        assert (Repository.DIRECTOR, "root") in self.world.kept.roles


TestReplays = Replays.TestCase
TestReplays.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
