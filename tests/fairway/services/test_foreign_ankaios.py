"""Ankaios manifests become services, or are refused with the place and the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services.foreign import Image, Imported
from fairway.services.foreign_ankaios import services_of
from fairway.services.model import MIB, Condition, Data, Network, Restart, Runner, Service
from tests.shared_data import shared

DIGEST = "sha256:" + "a" * 64
X = "runtime: podman, runtimeConfig: 'image: x'"


def find(name: str) -> Image:
    if name == "unknown":
        raise BadInput("the image unknown is not here")
    return Image(DIGEST, ("/entry",) if name == "with-entry" else ())


def imported(name: str) -> Imported:
    return services_of(shared(f"edge/ankaios/{name}").read_text(), find=find, file=name)


def one(*lines: str) -> Service:
    return one_with_warnings(*lines)[0]


def one_with_warnings(*lines: str) -> tuple[Service, tuple[str, ...]]:
    """Import one workload with these lines in its runtimeConfig."""
    text = "apiVersion: v1\nworkloads:\n  w:\n    runtime: podman\n    runtimeConfig: |\n"
    text += "      image: store/w:1.2\n" + "".join(f"      {line}\n" for line in lines)
    found = services_of(text, find=find)
    return found.services[0], found.warnings


def test_mutating_hooks_are_three_services_that_never_restart():
    found = imported("mutating_hooks.manifest.yaml")

    assert [one.name for one in found.services] == [
        "workload-update-1",
        "workload-update-2",
        "workload-normal",
    ]
    first = found.services[0]
    assert first.image == DIGEST
    assert first.command == ("sh", "-c", "echo 'workload_update_1 running'; sleep 3600")
    assert (first.restart, first.runner, first.network) == (
        Restart.NEVER,
        Runner.CONTAINER,
        Network.NONE,
    )
    assert first.tags == (("example_mutating_hook", "update"),)
    assert any(
        "workload_update_1 is called workload-update-1 here" in said for said in found.warnings
    )


def test_the_control_interface_of_python_control_interface_is_not_taken_over():
    found = imported("python_control_interface.manifest.yaml")

    assert [(one.name, one.version) for one in found.services] == [
        ("python-control-interface", "0.1")
    ]
    assert found.services[0].command == ()
    assert any("controlInterfaceAccess: is not taken over" in said for said in found.warnings)


def test_python_sdk_hello_is_a_service_without_rights_over_others():
    found = imported("python_sdk_hello.manifest.yaml")

    assert found.services[0].restart is Restart.NEVER
    assert any("does not change other services" in said for said in found.warnings)


def test_the_state_without_workloads_has_no_services():
    found = imported("state.yaml")

    assert found.services == ()
    assert found.warnings == ("state.yaml: it has no workloads",)


def test_a_manifest_of_version_0_1_has_its_tags_as_a_list():
    text = """
apiVersion: v0.1
workloads:
  web:
    runtime: podman
    agent: agent_B
    restartPolicy: ALWAYS
    dependencies: {data_base: ADD_COND_RUNNING, init: ADD_COND_SUCCEEDED}
    tags: [{key: owner, value: me}, {key: level, value: 3}]
    runtimeConfig: "image: web@sha256:0\\n"
"""
    (service,) = services_of(text, find=find).services

    assert service.tags == (("owner", "me"), ("level", "3"))
    assert service.depends_on == (("data-base", Condition.RUNNING), ("init", Condition.SUCCEEDED))
    assert service.restart is Restart.ALWAYS
    assert service.version == "a" * 12


def test_only_the_workloads_of_one_agent_are_taken():
    text = """
apiVersion: v1
workloads:
  a: {runtime: podman, agent: agent_A, runtimeConfig: "image: a"}
  b: {runtime: podman, agent: agent_B, runtimeConfig: "image: b"}
"""
    assert [one.name for one in services_of(text, find=find, agent="agent_B").services] == ["b"]


def test_options_become_what_they_mean():
    service = one(
        'commandOptions: ["-e", "A=1", "--env=B=x=y", "-eC=", "--net=host", "-v", "store:/var/lib/w:Z",'
        ' "--mount", "type=volume,src=s,dst=/var/lib/v", "-m", "48m", "--cpus", "0.25", "--pids-limit=9",'
        ' "--ulimit", "nofile=64:64", "--stop-signal", "SIGINT", "--stop-timeout", "3", "--rm", "-d"]'
    )

    assert service.environment == (("A", "1"), ("B", "x=y"), ("C", ""))
    assert service.network is Network.HOST
    assert service.data == (Data("/var/lib/w"), Data("/var/lib/v"))
    assert service.resources.memory_max_bytes == 48 * MIB
    assert (service.resources.cpu_max, service.resources.pids_max) == (0.25, 9)
    assert service.resources.files_max == 64
    assert (service.stop_signal, service.stop_grace_s, service.version) == ("INT", 3.0, "1.2")


def test_arguments_follow_the_entry_point():
    assert one("commandArgs: [x]").command == ("x",)
    assert one("commandOptions: [--entrypoint, /bin/e]", "commandArgs: [x]").command == (
        "/bin/e",
        "x",
    )
    text = "apiVersion: v1\nworkloads: {w: {runtime: podman, runtimeConfig: '{image: with-entry, "
    assert services_of(text + "commandArgs: [x]}'}}", find=find).services[0].command == (
        "/entry",
        "x",
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--privileged", "all rights"),
        ("--cap-add=NET_ADMIN", "no capabilities"),
        ("--device /dev/can0", "no devices"),
        ("--pid=host", "other processes"),
        ("--ipc=host", "share memory"),
        ("--userns keep-id", "given by the agent"),
        ("--security-opt seccomp=unconfined", "walls"),
        ("--volumes-from other", "no files of another"),
        ("-v /etc:/etc", "vehicle's files"),
        ("-v ../x:/x", "vehicle's files"),
        ("--mount type=bind,src=/,dst=/host", "vehicle's files"),
        ("-v/run/engine.sock:/run/engine.sock", "vehicle's files"),
    ],
)
def test_what_would_open_the_vehicle_is_refused(options: str, reason: str):
    words = ", ".join(f'"{word}"' for word in options.split())
    with pytest.raises(BadInput, match=reason) as refused:
        one(f"commandOptions: [{words}]")

    assert "workloads.w.runtimeConfig.commandOptions" in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("-p 80:80", "--publish: has no counterpart"),
        ("--unheard-of thing", "--unheard-of: has no counterpart"),
        ("--unheard-of --rm", "--unheard-of: has no counterpart"),
        ("-e HOME", "HOME would come from the vehicle's environment"),
        ("--net bridge", "bridge is not known here"),
        ("--net host", "must be allowed"),
        ("--user 0", "--user: has no counterpart"),
        ("--tmpfs /cache", "only /tmp is memory"),
    ],
)
def test_what_has_no_counterpart_is_a_warning(options: str, said: str):
    words = ", ".join(f'"{word}"' for word in options.split())
    _, warnings = one_with_warnings(f"commandOptions: [{words}]")

    assert any(said in warning for warning in warnings)


@pytest.mark.parametrize(
    "options",
    ["--security-opt no-new-privileges", "--cap-drop ALL", "--privileged=false", "--pid private"],
)
def test_what_holds_anyway_is_taken_without_a_word(options: str):
    words = ", ".join(f'"{word}"' for word in ["--net=none", *options.split()])
    _, warnings = one_with_warnings(f"commandOptions: [{words}]")

    assert warnings == ()


def test_configurations_are_filled_in():
    text = """
apiVersion: v1
configs: {web: {port: 8081, deep: {name: x}}, plain: hello}
workloads:
  w:
    runtime: podman
    configs: {c: web, p: plain}
    runtimeConfig: |
      image: w
      commandArgs: ["{{c.port}}", "{{{c.deep.name}}}", "{{ p }}"]
"""
    assert services_of(text, find=find).services[0].command == ("8081", "x", "hello")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "apiVersion is None"),
        ("[]", "not a table"),
        ("apiVersion: v2", "apiVersion is 'v2'"),
        ("apiVersion: v1\nworkloads: {w: {runtime: podman-kube}}", "podman-kube"),
        (
            "apiVersion: v1\nworkloads: {w: {runtime: podman, runtimeConfig: 'x: 1'}}",
            "image: is None",
        ),
        (
            "apiVersion: v1\nworkloads: {w: {runtime: podman, runtimeConfig: 'image: unknown'}}",
            "not here",
        ),
        (
            "apiVersion: v1\nworkloads: {w: {runtime: podman, runtimeConfig: 'image: {{a.b}}'}}",
            "none of its configs",
        ),
        (
            "apiVersion: v1\nworkloads: {w: {runtime: podman, runtimeConfig: 'image: \"{{#each a}}\"'}}",
            "only {{alias.key}}",
        ),
        (
            "apiVersion: v1\nworkloads: {w: {runtime: podman, configs: {a: b}, runtimeConfig: 'image: x'}}",
            "no configuration 'b'",
        ),
        (
            f"apiVersion: v1\nworkloads: {{w: {{{X}, restartPolicy: SOMETIMES}}}}",
            "SOMETIMES",
        ),
        (
            f"apiVersion: v1\nworkloads: {{w: {{{X}, dependencies: {{a: X}}}}}}",
            "no condition",
        ),
        (
            f"apiVersion: v1\nworkloads: {{a_b: {{{X}}}, a-b: {{{X}}}}}",
            "two workloads are called a-b",
        ),
        ("a: &x [1]\nb: *x", "anchors"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(text: str, reason: str):
    with pytest.raises(BadInput, match=reason):
        services_of(text, find=find)


@given(st.text(max_size=200) | st.text(alphabet="apiVersion: v1\nworkloads{}[]'-", max_size=200))
def test_garbage_is_refused_and_nothing_else(text: str):
    try:
        services_of(text, find=find)
    except BadInput:
        return
    assert "apiVersion" in text


@given(st.lists(st.text(alphabet="-=:/ abev,0123456789", max_size=12), max_size=8))
def test_no_options_open_the_vehicle(words: list[str]):
    try:
        service = one("commandOptions: " + str(words).replace("'", '"'))
    except BadInput:
        return
    assert all(data.path.startswith("/") for data in service.data)
