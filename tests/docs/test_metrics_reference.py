"""The metrics reference names every metric of both programs, its type and its labels, and no other."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client.registry import Collector

from edge_agent.adapters.metrics_http import AgentCollector, Status
from edge_agent.broker.counts import REASONS, DataCounts, DataNumbers, OnboardCounts
from edge_agent.canbus.decoder import Refusals
from edge_agent.services.numbers import AllNumbers, ServiceNumbers
from edge_agent.telemetry.campaign_counts import CampaignNumbers
from edge_agent.telemetry.counts import SamplingCounts
from edge_agent.telemetry.sending import UplinkCounts
from edge_agent.telemetry.spool import SpoolState
from edge_agent.updates.numbers import UpdateNumbers
from fairway.control import CampaignState
from fairway.services.states import State
from fleet_cloud.adapters.ingest_metrics import IngestCollector
from fleet_cloud.api.device.metrics import DoorCollector
from fleet_cloud.api.device.ports import DoorNumbers
from fleet_cloud.ingest.status import STARTING
from tests.docs.pages import DOCS

PAGE = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))

SAMPLING = SamplingCounts()
SAMPLING.refused.update(Refusals()._asdict())
AGENT = Status(
    sampling=SAMPLING,
    spool=SpoolState(1, 0, 0, 0, 0, 0),
    uplink=UplinkCounts(),
    is_connected=True,
    connections=1,
    oldest_age_s=0.0,
    dropped_frames=(("can0", 0),),
    certificate_left_s=1.0,
    onboard=OnboardCounts(),
    data=DataNumbers(DataCounts(), dropped=0, subscriptions=0, providers=0),
    campaigns=CampaignNumbers({state.name.lower(): 0 for state in CampaignState}),
    updates=UpdateNumbers(),
    services=AllNumbers(
        services=(
            ServiceNumbers(
                name="tyre-watch",
                state="Running(Ok)",
                is_ready=True,
                restarts=0,
                failures=0,
                out_of_memory=0,
                cpu_s=0.0,
                cpu=0.0,
                memory_bytes=0,
                pids=0,
                denied={"read": 0},
            ),
        ),
        states=dict.fromkeys(State, 0),
    ),
)
CLOUD = replace(STARTING, mqtt_connected=True, grpc_connections=0)
DOOR = DoorNumbers(requests=Counter({("/events", 204): 1}))


class Both(Collector):
    """The two collectors of fleet-cloud, as one."""

    def collect(self):
        yield from IngestCollector(lambda: CLOUD).collect()
        yield from DoorCollector(DOOR).collect()


COLLECTORS = {"edge-agent": AgentCollector(lambda: AGENT), "fleet-cloud": Both()}


def told(section: str) -> dict[str, str]:
    """Return the metrics of a section, labels in braces, with their types."""
    return dict(
        re.findall(
            r"^\| `(fairway_[^`]+)` \| (counter|gauge|histogram) \|",
            SECTIONS[section],
            re.MULTILINE,
        )
    )


def shown(collector: Collector) -> dict[str, str]:
    found = {}
    for metric in collector.collect():
        for sample in metric.samples:
            of_it = [label for label in sample.labels if label != "le"]
            labels = "{" + ",".join(of_it) + "}" if of_it else ""
            # A histogram is told under its own name, not once for each of its series.
            name = metric.name if metric.type == "histogram" else sample.name
            found[name + labels] = metric.type
    return found


@pytest.mark.parametrize(("program", "collector"), COLLECTORS.items())
def test_every_metric_is_there_with_its_type_and_labels_and_no_other(program, collector):
    assert told(program) == shown(collector)


def test_every_reason_and_outcome_is_explained():
    words = [*Refusals._fields, *REASONS, "stored", "duplicate", "refused", "busy"]
    words += [state.name.lower() for state in CampaignState]

    assert [word for word in words if f"`{word}`" not in SECTIONS["edge-agent"]] == []
