"""What the cloud asks and orders besides lists, and what a person asks on the spot."""

import asyncio
import json
import stat
from pathlib import Path

import pytest

from edge_agent.adapters.campaign_control import _counted
from edge_agent.adapters.campaign_door import SOCKET_NAME, asked
from edge_agent.cli import main
from edge_agent.telemetry import inbox
from fairway.clock import NS_PER_S
from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    CheckIn,
    Command,
    DeactivateState,
    ExplainCampaign,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceList,
    ServiceStatus,
    ServiceWhat,
    SnapshotState,
    StateTemplate,
    StateTemplateList,
    StateValue,
    UpdateNotice,
    What,
)
from fairway.errors import BadInput, Unavailable
from fairway.services.states import State
from tests.edge_agent.adapters.campaign_rig import (
    BRAKE,
    GEAR,
    Cloud,
    Rig,
    config,
    every,
    order,
    rig,
    when,
)


class Fleet:
    """Services of an agent, in a few lines."""

    def __init__(self) -> None:
        self.lists: list[ServiceList] = []
        self.done: list[ServiceWhat] = []
        self.fails = False

    @property
    def revision(self) -> int:
        return self.lists[-1].revision if self.lists else 0

    def statuses(self) -> tuple[ServiceStatus, ...]:
        return (ServiceStatus("watch", "1", State.RUNNING, restarts=len(self.done)),)

    async def order(self, services: ServiceList) -> None:
        if self.fails:
            raise Unavailable("the disk is full")
        self.lists.append(services)

    async def obey(self, id_: str, what: ServiceWhat) -> Answer:
        self.done.append(what)
        return Answer(id_, AnswerState.SUCCEEDED, json='{"lines": []}')


def test_what_a_service_is_denied_again_and_again_is_no_reason_to_check_in():
    one, other = (ServiceDenial("read", f"Vehicle.{what}", 1, 5) for what in ("A", "B"))
    more = ServiceDenial("read", "Vehicle.A", 9, 77)

    def told(*denials: ServiceDenial) -> CheckIn:
        count = sum(denial.count for denial in denials)
        status = ServiceStatus("watch", "1", State.RUNNING, denials=denials, denied=count)
        return CheckIn("1", 1, services=(status,))

    assert _counted(told(one)) == _counted(told(more))
    assert _counted(told(one)) != _counted(told(one, other))
    assert _counted(told()) != _counted(told(one))


async def ask(agent: Rig, id_: str, what: What, *, in_s: float = 60.0) -> None:
    """Send a command and wait for one more answer."""
    before = len(agent.cloud.answers())
    agent.say(Command(id_, agent.clock.now_ns() + int(in_s * NS_PER_S), what))
    await agent.until(lambda: len(agent.cloud.answers()) > before)


async def test_why_names_the_part_of_the_condition_that_is_false(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        condition = "$variable.`Vehicle.Speed` > 90 && $variable.`Vehicle.Brake` == true"
        await agent.run_campaigns(order(when(condition)))
        agent.drive(50.0)
        agent.drive(1.0, signal=BRAKE)
        await ask(agent, "c1", ExplainCampaign("braking"))

    (answer,) = agent.cloud.answers()
    why = json.loads(answer.json)
    assert answer.state is AnswerState.SUCCEEDED
    assert why["status"]["state"] == "RUNNING"
    assert any("because of" in text and "> 90" in text for text in why["sentences"])
    assert not any("because of" in text and "Brake" in text for text in why["sentences"])


async def test_why_names_a_signal_that_never_came_and_the_interval_that_is_not_over(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        missing = order(when("$variable.`Vehicle.Brake` == true", "missing"))
        slow = order(every(3_600_000, "slow"))
        await agent.run_campaigns(missing, slow)
        agent.drive(50.0)
        why, later = (agent.parts.statuses.why(name) for name in ("missing", "slow"))

    assert "it asks for what has not come yet: Vehicle.Brake" in why["sentences"]
    assert any(text.startswith("it waits for") for text in later["sentences"])
    assert json.dumps(why)


async def test_why_names_the_interval_that_has_not_passed(tmp_path: Path):
    scheme = {"expression": "$variable.`Vehicle.Speed` > 90", "minimumTriggerIntervalMs": 3_600_000}
    document = when("", "rare", collectionScheme={"conditionBasedCollectionScheme": scheme})
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(order(document))
        agent.drive(100.0)
        why = agent.parts.statuses.why("rare")

    assert any("it waits for" in text and "interval" in text for text in why["sentences"])
    assert any(text == "an event now would send 1 of Vehicle.Speed" for text in why["sentences"])


async def test_why_names_the_condition_of_a_partition_that_is_closed(tmp_path: Path):
    storage = {
        "maximumSize": {"unit": "MB", "value": 1},
        "storageLocation": "x",
        "minimumTimeToLive": {"unit": "HOURS", "value": 1},
    }
    upload = "$variable.`Vehicle.Brake` == true"
    parts = [{"id": "bulk", "storageOptions": storage, "uploadOptions": {"expression": upload}}]
    signals = [{"name": "Vehicle.Speed", "dataPartitionId": "bulk"}]
    document = when(
        "$variable.`Vehicle.Speed` > 90", "kept", dataPartitions=parts, signalsToCollect=signals
    )
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(order(document))
        agent.drive(100.0)
        await agent.until(lambda: any(one.waiting for one in agent.parts.partitions.holdings()))
        why = agent.parts.statuses.why("kept")

    (text,) = [one for one in why["sentences"] if one.startswith("partition bulk is closed")]
    assert text.startswith("partition bulk is closed: 1 batches of")
    assert text.endswith(f"wait until {upload} is true")


async def test_why_of_a_campaign_that_is_not_there_says_which_are(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(order(every(1000)))
        await ask(agent, "c1", ExplainCampaign("nobody"))

    (answer,) = agent.cloud.answers()
    assert answer.state is AnswerState.FAILED
    assert answer.sentence == "no campaign is called 'nobody'; this vehicle has often"


async def test_a_person_on_the_machine_asks_at_a_socket_of_the_agents_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = tmp_path / "agent.toml"
    settings.write_text(
        f'[vehicle]\nid = "CAR-1"\n[[bus]]\nname = "can0"\nsource = "unix:x"\ndatabases = []\n'
        f'[spool]\ndir = "{tmp_path / "spool"}"\n'
    )
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await agent.run_campaigns(order(every(1000)))
        door = tmp_path / "spool" / SOCKET_NAME
        mode = stat.S_IMODE(door.stat().st_mode)
        code = await asyncio.to_thread(
            main, ["campaign", "why", "often", "--config", str(settings)]
        )
        listed = await asyncio.to_thread(main, ["campaign", "list", "--config", str(settings)])
        with pytest.raises(BadInput, match="this vehicle has often"):
            await asyncio.to_thread(asked, door, "why", "nobody")
        with pytest.raises(BadInput, match="is no question"):
            await asyncio.to_thread(asked, door, "delete")

    said = capsys.readouterr().out
    assert (mode, code, listed) == (0o600, 0, 0)
    assert "it runs:" in said
    assert "often  RUNNING" in said
    with pytest.raises(Unavailable, match="no agent answers"):
        asked(door, "list")


async def test_a_template_is_reported_from_its_activation_to_its_deactivation(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(StateTemplateList(3, (StateTemplate("twin", ("Vehicle.Speed", "Vehicle.Gear")),)))
        await agent.until(lambda: agent.cloud.check_ins()[-1].state_templates_revision == 3)
        agent.drive(50.0)
        agent.drive(0.0, signal=GEAR, text="D")
        await ask(agent, "c1", ActivateState("twin"))
        await agent.until(lambda: bool(agent.cloud.reports()))
        agent.drive(51.0)
        await agent.until(lambda: len(agent.cloud.reports()) == 2)
        await ask(agent, "c2", DeactivateState("twin"))
        agent.drive(52.0)
        await ask(agent, "c3", SnapshotState("twin"))
        await agent.until(lambda: len(agent.cloud.reports()) == 3)

    first, second, third = [
        {one.name: one.value for one in report.values} for report in agent.cloud.reports()
    ]
    assert first == {"Vehicle.Speed": 50.0, "Vehicle.Gear": "D"}
    assert second == {"Vehicle.Speed": 51.0}
    assert third == {"Vehicle.Speed": 52.0, "Vehicle.Gear": "D"}
    assert [one.state for one in agent.cloud.answers()] == [AnswerState.SUCCEEDED] * 3


async def test_an_activation_outlives_a_restart_and_unknown_signals_are_named(tmp_path: Path):
    cloud = Cloud()
    async with rig(config(tmp_path), cloud) as agent:
        await agent.connected()
        template = StateTemplate("twin", ("Vehicle.Speed", "Vehicle.Wings"), period_ms=50)
        agent.say(StateTemplateList(3, (template,)))
        await agent.until(lambda: cloud.check_ins()[-1].state_templates_revision == 3)
        await ask(agent, "c1", ActivateState("twin", deactivate_after_s=3600))

    cloud.said.clear()
    async with rig(config(tmp_path), cloud) as agent:
        await agent.connected()
        agent.drive(77.0)
        await agent.until(lambda: any(one.values for one in cloud.reports()))

    (status,) = cloud.check_ins()[0].state_templates
    assert (status.is_active, status.reason) == (True, "this vehicle has no signal Vehicle.Wings")
    values = next(one.values for one in cloud.reports() if one.values)
    assert [(one.name, one.value) for one in values] == [("Vehicle.Speed", 77.0)]
    assert isinstance(values[0], StateValue)


async def test_a_command_that_comes_again_is_done_once_and_answered_again(tmp_path: Path):
    cloud = Cloud()
    async with rig(config(tmp_path), cloud) as agent:
        await agent.connected()
        agent.say(StateTemplateList(1, (StateTemplate("twin", ("Vehicle.Speed",)),)))
        await ask(agent, "same", ActivateState("twin"))
        await ask(agent, "other", DeactivateState("twin"))
        await ask(agent, "same", ActivateState("twin"))
        assert not agent.parts.orders.states.is_active("twin")

    async with rig(config(tmp_path), cloud) as agent:
        await agent.until(lambda: agent.delivery.is_connected)
        await ask(agent, "same", ActivateState("twin"))
        assert not agent.parts.orders.states.is_active("twin")

    assert [one.id for one in cloud.answers()] == ["same", "other", "same", "same"]
    assert {one.state for one in cloud.answers()} == {AnswerState.SUCCEEDED}


async def test_a_command_that_comes_too_late_is_not_begun(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(StateTemplateList(1, (StateTemplate("twin", ("Vehicle.Speed",)),)))
        await ask(agent, "late", ActivateState("twin"), in_s=-5.0)

        assert not agent.parts.orders.states.is_active("twin")
    (answer,) = agent.cloud.answers()
    assert (answer.state, answer.reason_code) == (
        AnswerState.TIMED_OUT,
        inbox.TIMED_OUT_BEFORE_DISPATCH,
    )


async def test_a_template_that_is_not_there_is_out_of_sync(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        await ask(agent, "c1", SnapshotState("nobody"))

    (answer,) = agent.cloud.answers()
    assert (answer.state, answer.reason_code) == (
        AnswerState.FAILED,
        inbox.STATE_TEMPLATE_OUT_OF_SYNC,
    )


class Ecu:
    """A fetcher with one ECU."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked: list[str] = []

    async def fetch(self, action: str) -> str:
        self.asked.append(action)
        if self.is_silent:
            raise Unavailable("the ECU at 0x7E0 does not answer")
        return '{"DetectedDTCs":[]}'

    async def active_dtcs(self) -> tuple[str, ...]:
        if self.is_silent:
            raise Unavailable("the ECU at 0x7E0 does not answer")
        return ("P0420", "P0301")


async def test_trouble_codes_go_with_the_event_or_a_sentence_why_not(tmp_path: Path):
    ecu = Ecu()
    campaign = order(when("$variable.`Vehicle.Speed` > 90", diagnosticsMode="SEND_ACTIVE_DTCS"))
    async with rig(config(tmp_path), fetcher=ecu) as agent:
        await agent.connected()
        await agent.run_campaigns(campaign)
        agent.drive(100.0)
        await agent.until(lambda: len(agent.cloud.events()) == 1)
        ecu.is_silent = True
        agent.drive(101.0)
        await agent.until(lambda: len(agent.cloud.events()) == 2)

    first, second = agent.cloud.events()
    assert (first.dtcs, first.dtcs_missing) == (("P0420", "P0301"), "")
    assert (second.dtcs, second.dtcs_missing) == ((), "the ECU at 0x7E0 does not answer")


async def test_what_is_fetched_comes_as_samples_of_its_signal(tmp_path: Path):
    ecu, action = Ecu(), 'custom_function("DTC_QUERY", -1, 2, -1)'
    fetch = {
        "fullyQualifiedName": "Vehicle.ECU1.DTC_INFO",
        "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 1000}},
        "actions": [action],
    }
    document = every(
        1500, signalsToFetch=[fetch], signalsToCollect=[{"name": "Vehicle.ECU1.DTC_INFO"}]
    )
    async with rig(config(tmp_path), fetcher=ecu) as agent:
        await agent.connected()
        await agent.run_campaigns(order(document))
        await agent.until(lambda: bool(agent.cloud.batches))

    rows = list(agent.cloud.batches[0][1].rows())
    assert {(name, value) for name, _, value in rows} == {
        ("Vehicle.ECU1.DTC_INFO", '{"DetectedDTCs":[]}')
    }
    assert action in ecu.asked


async def test_an_agent_without_services_says_so_and_answers_what_it_is_told(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(ServiceList(3, ()))
        await ask(agent, "c1", RestartService("watch"))
        check_ins = [one for one in agent.cloud.said if isinstance(one, CheckIn)]

    assert {one.services_revision for one in check_ins} == {None}
    (answer,) = agent.cloud.answers()
    assert (answer.state, answer.reason_code) == (AnswerState.FAILED, inbox.PRECONDITION_FAILED)
    assert "runs no services" in answer.sentence


class Noticed:
    """Updates of an agent, in a few lines."""

    def __init__(self) -> None:
        self.said: list[UpdateNotice] = []

    @property
    def revision(self) -> int:
        return self.said[-1].revision if self.said else 0

    async def notice(self, said: UpdateNotice) -> None:
        self.said.append(said)


async def test_a_notice_of_updates_is_handed_on_and_its_revision_told(tmp_path: Path):
    updates = Noticed()
    async with rig(config(tmp_path)) as agent:
        agent.parts.orders.updates = updates
        await agent.connected()
        agent.say(UpdateNotice("https://updates.example:8444", 7))
        await agent.until(lambda: agent.cloud.check_ins()[-1].updates_revision == 7)

    assert updates.said == [UpdateNotice("https://updates.example:8444", 7)]


async def test_an_agent_without_updates_says_so_and_takes_no_notice(tmp_path: Path):
    async with rig(config(tmp_path)) as agent:
        await agent.connected()
        agent.say(UpdateNotice("", 7))
        agent.say(ServiceList(3, ()))
        await ask(agent, "c1", RestartService("watch"))
        check_ins = [one for one in agent.cloud.said if isinstance(one, CheckIn)]

    assert {one.updates_revision for one in check_ins} == {None}


async def test_lists_and_commands_of_services_are_handed_on_and_statuses_told(tmp_path: Path):
    services = Fleet()
    async with rig(config(tmp_path)) as agent:
        agent.parts.orders.services = services
        await agent.connected()
        agent.say(ServiceList(3, ()))
        await agent.until(
            lambda: any(
                isinstance(one, CheckIn) and one.services_revision == 3 for one in agent.cloud.said
            )
        )
        await ask(agent, "c1", RestartService("watch"))
        agent.say(Command("c1", agent.clock.now_ns() + 10**12, RestartService("watch")))
        for _ in range(2):
            await ask(agent, "c2", FetchServiceLogs("watch", 5))
        (told, *_) = [one for one in agent.cloud.said if isinstance(one, CheckIn) and one.services]

    assert told.services[0].name == "watch"
    # The order was done once, the question is answered anew each time.
    assert services.done == [RestartService("watch"), *[FetchServiceLogs("watch", 5)] * 2]


async def test_a_list_that_could_not_be_kept_is_not_in_force(tmp_path: Path):
    services = Fleet()
    services.fails = True
    async with rig(config(tmp_path)) as agent:
        agent.parts.orders.services = services
        await agent.connected()
        agent.say(ServiceList(3, ()))
        await ask(agent, "c1", RestartService("watch"))
        check_ins = [one for one in agent.cloud.said if isinstance(one, CheckIn)]

    assert {one.services_revision for one in check_ins} <= {None, 0}
