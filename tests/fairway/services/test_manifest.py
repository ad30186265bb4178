"""A manifest says one service, whole; what it cannot mean is refused with the file, the place and a cure."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services import manifest, model
from fairway.services.manifest import (
    service_digest,
    service_document,
    service_from_json,
    service_from_yaml,
    service_of,
    service_to_json,
    service_to_yaml,
)
from fairway.services.model import Service
from tests.fairway.services.strategies import services

DIGEST = "sha256:" + "ab" * 32
WHOLE = f"""
name: tyre-watch
version: 1.2.0
image: {DIGEST}
command: [/app/watch, --slow]
environment: {{LANG: C.UTF-8, EMPTY: ""}}
resources: {{memory_max: 96MiB, cpu_max: 0.2, pids_max: 16, tmp_max: 1MiB, files_max: 64}}
restart: ON_FAILURE
stop: {{signal: INT, grace_s: 2.5}}
health:
  within_s: 20
  soak_s: 1.5
  liveness: {{command: [/app/alive, now], interval_s: 2, timeout_s: 0.5, failures: 2, delay_s: 1}}
  readiness: {{publishes: {{paths: [Vehicle.Private.Tyre.IsLow], age_max_s: 3}}}}
depends_on: {{battery: ADD_COND_HEALTHY, setup: ADD_COND_SUCCEEDED}}
signals:
  read: [Vehicle.Speed, Vehicle.Chassis.Axle.*.Wheel.*.Tire.Pressure]
  write: [Vehicle.Cabin.Lights.IsOn]
  provide: [Vehicle.Private.Tyre]
offers:
  - {{name: tyre.state, version: 1.0.0, socket: tyre.sock, proto: a.b.Tyre, features: [slow-leak], to: [dash]}}
uses: [{{name: battery.health, version: ">=1.2 <2", optional: true}}]
access: socket
network: host
data: [{{path: /var/lib/tyre, max: 1MiB}}]
on_loss: {{fall_back: tyre-simple}}
change: {{how: beside}}
tags: {{owner: chassis}}
active: false
"""
SMALL = f"name: one\nversion: '1'\nimage: {DIGEST}\n"


def test_a_manifest_with_everything_says_all_of_it():
    service = service_from_yaml(WHOLE, file="tyre.yaml")

    assert service == Service(
        name="tyre-watch",
        version="1.2.0",
        image=DIGEST,
        command=("/app/watch", "--slow"),
        environment=(("EMPTY", ""), ("LANG", "C.UTF-8")),
        resources=model.Resources(96 << 20, 0.2, 16, 1 << 20, 64),
        restart=model.Restart.ON_FAILURE,
        stop_signal="INT",
        stop_grace_s=2.5,
        health=model.Health(
            liveness=model.Check(model.Command(("/app/alive", "now")), 2.0, 0.5, 2, 1.0),
            readiness=model.Check(model.Publishes(("Vehicle.Private.Tyre.IsLow",), 3.0)),
            within_s=20.0,
            soak_s=1.5,
        ),
        depends_on=(
            ("battery", model.Condition.HEALTHY),
            ("setup", model.Condition.SUCCEEDED),
        ),
        signals=model.Signals(
            ("Vehicle.Speed", "Vehicle.Chassis.Axle.*.Wheel.*.Tire.Pressure"),
            ("Vehicle.Cabin.Lights.IsOn",),
            ("Vehicle.Private.Tyre",),
        ),
        offers=(
            model.Offer("tyre.state", "1.0.0", "tyre.sock", "a.b.Tyre", ("slow-leak",), ("dash",)),
        ),
        uses=(model.Use("battery.health", ">=1.2 <2", optional=True),),
        access=model.Access.SOCKET,
        network=model.Network.HOST,
        data=(model.Data("/var/lib/tyre", 1 << 20),),
        on_loss=model.OnLoss.FALL_BACK,
        fall_back="tyre-simple",
        change=model.Change(model.How.BESIDE),
        tags=(("owner", "chassis"),),
        is_active=False,
    )
    assert service_from_yaml(service_to_yaml(service)) == service


def test_a_manifest_of_three_lines_reaches_nothing():
    service = service_from_yaml(SMALL)

    assert service == Service(name="one", version="1", image=DIGEST)
    assert (service.signals.scope, service.uses, service.network) == ("", (), model.Network.NONE)
    assert service_document(service) == {"name": "one", "version": "1", "image": DIGEST}


def test_the_example_at_the_top_of_the_file_is_a_manifest():
    text = (manifest.__doc__ or "").split("\n\n")[1].replace("sha256:...", DIGEST)
    example = "\n".join(line[4:] for line in text.splitlines() if "or publishes" not in line)

    assert service_from_yaml(example).name == "tyre-watch"


def test_breaks_that_only_unicode_knows_stay_what_they_are():
    tags = (("a", "one\x85two"), ("b", "one\u2028two\ufeff"))
    service = Service(name="one", version="1", image=DIGEST, tags=tags)

    assert service_from_yaml(service_to_yaml(service)) == service


@settings(max_examples=40)
@given(services)
def test_what_is_written_is_read_equal(service: Service):
    assert service_from_yaml(service_to_yaml(service)) == service
    assert service_from_json(service_to_json(service)) == service


@settings(max_examples=15)
@given(services, services)
def test_two_services_have_one_digest_only_if_they_are_equal(one: Service, other: Service):
    assert (service_digest(one) == service_digest(other)) == (one == other)


def test_the_order_of_tables_makes_no_other_service():
    one = service_from_yaml(SMALL + "tags: {a: x, b: y}")
    other = service_from_yaml("tags: {b: y, a: x}\n" + SMALL)

    assert service_digest(one) == service_digest(other)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("restrat: ALWAYS", "a.yaml: restrat: there is no such key; did you mean restart?"),
        ("health: {readines: {command: [x]}}", "health.readines: .* did you mean readiness"),
        ("health: {readiness: {interval_s: 3}}", "health.readiness: has 0 probes; give one of"),
        (
            "health: {liveness: {command: [x], http: {port: 1}}}",
            "health.liveness: has 2 probes",
        ),
        (
            "health: {liveness: {http: {port: 80, socket: a.sock}}}",
            "health.liveness: give a port or a socket",
        ),
        ("health: {liveness: {http: {path: x y, port: 1}}}", "health.liveness.path"),
        (
            "health: {readiness: {publishes: {paths: [Vehicle.Speed], age_max_s: 1}}}",
            "health.readiness.publishes: Vehicle.Speed is not among signals.provide",
        ),
        ("resources: {memory_max: 64}", "resources.memory_max: is 64; give a size as 64MiB"),
        ("resources: {memory_max: 64MB}", "resources.memory_max"),
        ("resources: {cpu_max: 0}", "resources.cpu_max: is 0; give a number from 0.01"),
        ("resources: {cpu_max: .nan}", "resources.cpu_max"),
        ("resources: {pids_max: true}", "resources.pids_max"),
        ("resources: [1]", "resources: is .* give a table"),
        ("restart: SOMETIMES", "restart: is 'SOMETIMES'; choose from NEVER, ON_FAILURE, ALWAYS"),
        (
            "environment: {PORT: 80}",
            "environment.PORT: is 80, which is no text: write it in quotes",
        ),
        ("environment: {FAIRWAY_TOKEN_FILE: x}", "FAIRWAY_TOKEN_FILE is the agent's"),
        ("environment: {1: x}", "environment.1: must be a text"),
        ("environment: {'A B': x}", "'A B' names no variable"),
        ("command: run", "command: is 'run'; give a list"),
        ("command: [run, null]", r"command\[1\]: is None, which is no text"),
        ("depends_on: {one: ADD_COND_RUNNING}", "depends_on: one waits for itself"),
        ("depends_on: {other: RUNNING}", "depends_on.other: is 'RUNNING'; choose from ADD_COND"),
        ("depends_on: {'../x': ADD_COND_RUNNING}", "depends_on: a service is called '../x'"),
        ("signals: {read: [Vehicle.Speed, Vehicle.Speed]}", "Vehicle.Speed stands twice"),
        ("signals: {read: ['Vehicle Speed']}", "'Vehicle Speed' is no path"),
        ("signals: {reads: []}", "signals.reads: .* did you mean read"),
        (
            "offers: [{name: a.b, version: 1.0.0, socket: ../other/agent.sock}]",
            r"offers\[0\].socket: is '../other/agent.sock'; give the name of a file",
        ),
        (
            "offers: [{name: a.b, version: 1.0.0, socket: token}]",
            "token is the agent's; choose another name",
        ),
        ("offers: [{name: a.b, version: '1', socket: a.sock}]", "version: is '1'; write it as"),
        ("uses: [{name: A}]", r"uses\[0\].name: is 'A'; write it as battery.health"),
        ("uses: [{name: a}, {name: a}]", "uses: a stands twice"),
        ("data: [{path: ../x}]", "'../x' is no folder"),
        ("data: [{path: /var/../etc}]", "is no folder"),
        ("data: [{path: /proc/x}]", "/proc/x is not for data"),
        ("data: [{path: /var/x}, {path: /var/x/y}]", "/var/x holds another folder of data"),
        ("on_loss: fall_back", "on_loss: name the service that then runs"),
        ("on_loss: {fall_back: one}", "one cannot stand in for itself"),
        ("stop: {signal: STOP}", "stop.signal: is 'STOP'; choose from TERM"),
        ("runner: process", "image: a process has none"),
        ("access: open", "access: is 'open'; choose from token, socket"),
        ("active: yes", "active: is 'yes'; choose true or false"),
        ("tags: {a: b}\ntags: {a: c}", "a.yaml, line 5: tags stands twice: leave one"),
        ("tags: &a {x: y}\nenvironment: *a", "anchors and aliases"),
        ("name: [", "is not YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(more: str, said: str):
    with pytest.raises(BadInput, match=said):
        service_from_yaml(SMALL + more, file="a.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: one\nversion: '1'", "image: is missing; name an image by its digest"),
        ("name: one\nversion: 1.2\nimage: x", "version: is 1.2, which is no text: write it in"),
        ("name: one\nversion: '1'\nimage: busybox:latest", "name it by digest"),
        ("name: ../one\nversion: '1'", "a service is called '../one'"),
        ("name: one\nversion: '1'\nrunner: process\ncommand: [ls]", "name a program by its whole"),
        ("version: '1'", "name: is missing"),
        ("- name: one", "must be a table"),
        ("", "must be a table"),
        (b"\xff", "is not UTF-8"),
        ("#" * 300_000, "has over 262144 bytes"),
        ("[" * 100, "nested deeper"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, said: str):
    with pytest.raises(BadInput, match=said):
        service_from_yaml(text)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_is_bad_input_and_nothing_else(text: bytes):
    for read in (service_from_yaml, service_from_json):
        with pytest.raises(BadInput):
            read(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(yaml.safe_load(WHOLE))), json_values)
def test_any_value_at_any_key_is_taken_or_refused_with_the_file(key: str, value: object):
    document = yaml.safe_load(WHOLE) | {key: value}
    try:
        service = service_of(document, file="a.yaml")
    except BadInput as error:
        said = str(error)
    else:
        said = "a.yaml: " if service_of(json.loads(service_to_json(service))) == service else ""
    assert said.startswith("a.yaml: ")
