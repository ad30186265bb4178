"""Greengrass recipes become processes, or are refused with the place and the reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services.foreign import Imported
from fairway.services.foreign_greengrass import services_of
from fairway.services.foreign_recipe import Vehicle
from fairway.services.model import Condition, Restart, Runner, Service
from tests.shared_data import shared


def imported(name: str, vehicle: Vehicle | None = None) -> Imported:
    return services_of(shared(f"edge/greengrass/{name}").read_text(), vehicle, file=name)


def recipe(lifecycle: object, vehicle: Vehicle | None = None, **others: Any) -> Imported:
    said = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "a.Lamp",
        "ComponentVersion": "1.0.0",
        "Manifests": [{"Platform": {"os": "linux"}, "Lifecycle": lifecycle}],
    }
    return services_of(json.dumps(said | others), vehicle)


def script(service: Service) -> str:
    assert service.command[:2] == ("/bin/sh", "-c")
    return service.command[2]


def test_the_breaking_app_is_its_install_step():
    (service,) = imported("BreakingApp-1.0.0.yaml").services

    assert service.name == "breakingapp"
    assert service.restart is Restart.NEVER
    assert script(service).endswith("echo Broken install. && sleep 5 && exit /b 1")


def test_a_component_that_depends_on_itself_is_refused():
    with pytest.raises(
        BadInput, match="ComponentDependencies.ComponentWithCircularDependency: it depends on"
    ):
        imported("ComponentWithCircularDependency-1.0.0.yaml")


def test_the_customer_app_says_hello_after_what_it_depends_on():
    found = imported("CustomerApp-1.0.0.yaml")
    (service,) = found.services

    assert service.runner is Runner.PROCESS
    assert script(service) == 'echo "Hello Greengrass. This is a test"'
    assert service.restart is Restart.ON_FAILURE
    assert service.depends_on == (
        ("mosquitto", Condition.RUNNING),
        ("classservice", Condition.RUNNING),
    )
    assert any(
        "put s3://mock-bucket/customerApp into the folder" in said for said in found.warnings
    )


def test_the_customer_app_that_installs_as_root_is_refused():
    with pytest.raises(BadInput, match="Lifecycle.install: RequiresPrivilege would run it as root"):
        imported("CustomerAppStartupShutdown-1.0.0.yaml")


def test_the_hello_world_that_runs_nothing_is_refused():
    with pytest.raises(BadInput, match="nothing to run"):
        imported("HelloWorld-1.0.0.yaml")


def test_the_service_not_to_be_disrupted_runs_nothing_and_is_refused():
    with pytest.raises(BadInput, match="nothing to run"):
        imported("NonDisruptableService-1.0.0.yaml")


def test_the_fleetwise_agent_of_version_1_runs_from_its_artifacts():
    found = imported("com.amazon.aws.IoTFleetWise-1.0.0.json")
    (service,) = found.services

    folder = "/greengrass/v2/packages/artifacts/com.amazon.aws.IoTFleetWise/1.0.0"
    assert service.name == "com-amazon-aws-iotfleetwise"
    assert script(service) == f"{folder}/aws-iot-fleetwise-edge {folder}/config-0.json"
    assert service.environment == (("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"),)
    assert any("accessControl: is not taken over" in said for said in found.warnings)


def test_the_fleetwise_agent_of_version_2_wants_root_and_is_refused():
    with pytest.raises(BadInput, match="RequiresPrivilege would run it as root"):
        imported("com.amazon.aws.IoTFleetWise-2.0.0.json")


def test_steps_before_are_services_that_must_succeed_first():
    found = recipe({"bootstrap": "b", "install": "i", "run": "r"})

    assert [(one.name, one.restart) for one in found.services] == [
        ("a-lamp-bootstrap", Restart.NEVER),
        ("a-lamp-install", Restart.NEVER),
        ("a-lamp", Restart.ON_FAILURE),
    ]
    assert [one.depends_on for one in found.services] == [
        (),
        (("a-lamp-bootstrap", Condition.SUCCEEDED),),
        (("a-lamp-install", Condition.SUCCEEDED),),
    ]


def test_a_step_before_that_works_in_the_same_folder_runs_in_the_service_itself():
    found = recipe({"install": "echo > {work:path}/x", "run": "cat {work:path}/x"})
    (service,) = found.services

    assert service.name == "a-lamp"
    assert '[ -e "${FAIRWAY_DATA}/.install-1.0.0" ] ||' in script(service)
    assert any("run in a-lamp itself" in said for said in found.warnings)


def test_startup_and_shutdown_are_one_process():
    (service,) = recipe({"startup": "up", "shutdown": {"script": "down", "timeout": 7}}).services

    assert service.command[3] == "a-lamp"
    assert service.command[4].endswith("up")
    assert service.command[5] == "down"
    assert service.stop_grace_s == 7


def test_variables_are_filled_in_and_those_of_the_shell_are_left():
    vehicle = Vehicle(root="/gg", thing="truck-7", configuration={"deep": {"x": 2}})
    found = recipe(
        {
            "setenv": {"HERE": '{work:path}/x"$(id)', "ROOT": "{kernel:rootPath}"},
            "run": "{configuration:/deep/x} {configuration:/deep/list/1} {configuration:/deep} {iot:thingName}"
            " {artifacts:decompressedPath} {work:path} ${A:-b} {unknown:thing} {print $1}",
        },
        vehicle,
        ComponentConfiguration={"DefaultConfiguration": {"deep": {"x": 1, "list": ["a", "b"]}}},
    )
    (service,) = found.services
    export, line = script(service).splitlines()

    assert export == 'export HERE="${FAIRWAY_DATA}/x\\"\\$(id)"'
    assert service.environment == (("ROOT", "/gg"),)
    assert line == (
        '2 b {"x": 2, "list": ["a", "b"]} truck-7 /gg/packages/artifacts-unarchived/a.Lamp/1.0.0'
        " ${FAIRWAY_DATA} ${A:-b} {unknown:thing} {print $1}"
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("{configuration:/no}", "is not in its configuration"),
        ("{iot:thingName}", "has no value here"),
        ("{artifacts:else}", "has no value here"),
        ("{Other:artifacts:path}", "of another component"),
    ],
)
def test_a_variable_without_a_value_is_refused(said: str, reason: str):
    with pytest.raises(BadInput, match=reason):
        recipe({"run": said}, ComponentDependencies={"Other": {}})


@pytest.mark.parametrize(
    ("platform", "fits"),
    [
        ({}, True),
        ({"os": "*"}, True),
        ({"os": "all", "architecture": "amd64"}, True),
        ({"os": "/darwin|linux/"}, True),
        ({"OS": "linux", "architecture": "arm"}, False),
        ({"os": "windows"}, False),
        ({"os": "linux", "engine": "electric"}, True),
        ({"os": "linux", "wheels": "4"}, False),
    ],
)
def test_the_first_manifest_for_the_platform_is_taken(platform: dict[str, str], fits: object):
    manifests = [
        {"Platform": platform, "Lifecycle": {"run": "first"}},
        {"Lifecycle": {"run": "second"}},
    ]
    vehicle = Vehicle(attributes=(("engine", "electric"),))
    (service,) = recipe({}, vehicle, Manifests=manifests).services

    assert script(service) == ("first" if fits else "second")


def test_a_recipe_for_other_platforms_is_refused():
    with pytest.raises(BadInput, match="none of its manifests is for linux on amd64"):
        recipe({}, Manifests=[{"Platform": {"os": "windows"}, "Lifecycle": {"run": "x"}}])


def test_the_global_lifecycle_is_taken_by_its_selections():
    manifests = [{"Platform": {"os": "linux"}, "Selections": ["small"]}]
    lifecycle = {"run": {"big": {"script": "b"}, "Small": {"script": "s"}}, "install": "all of it"}
    found = recipe({}, Manifests=manifests, Lifecycle=lifecycle)

    assert script(found.services[0]).endswith("all of it")
    assert script(found.services[1]) == "s"


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        ("onpath git", "command -v git >/dev/null 2>&1 && exit 0"),
        ("exists /a b; rm", "[ -e '/a b; rm' ] && exit 0"),
    ],
)
def test_a_step_is_skipped_when_what_it_makes_is_there(condition: str, line: str):
    (service,) = recipe({"install": {"script": "make it", "skipif": condition}}).services

    assert line in script(service).splitlines()


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"RecipeFormatVersion": "2019-01-01"}, "RecipeFormatVersion"),
        ({"ComponentType": "aws.greengrass.plugin"}, "ComponentType"),
        ({"ComponentName": "a b"}, "componentname"),
        ({"ComponentVersion": None}, "componentversion"),
        ({"Manifests": {}}, "no list"),
        ({"manifests": []}, "stands twice"),
        ({"ComponentDependencies": {"x": {"DependencyType": "FIRM"}}}, "HARD or SOFT"),
    ],
)
def test_what_is_no_recipe_is_refused(others: dict[str, Any], reason: str):
    with pytest.raises(BadInput, match=reason):
        recipe({"run": "x"}, **others)


@pytest.mark.parametrize(
    ("lifecycle", "reason"),
    [
        ({"run": "x", "startup": "y"}, "both run and startup"),
        ({"run": {"script": "x", "RequiresPrivilege": "true"}}, "as root"),
        ({"install": {"script": "x", "timeout": "soon"}}, "no seconds"),
        ({"install": {"script": "x", "timeout": -1}}, "no time"),
        ({"install": {"script": "x", "skipif": "tuesday"}}, "Skipif"),
        ({"run": ["x"]}, "not a text"),
        ({"run": {"script": "x", "setenv": {"A B": "1"}}}, "name of a variable"),
        ({"shutdown": "x"}, "nothing to run"),
    ],
)
def test_a_lifecycle_that_cannot_be_is_refused(lifecycle: object, reason: str):
    with pytest.raises(BadInput, match=reason):
        recipe(lifecycle)


def test_what_has_no_counterpart_is_a_warning():
    found = recipe(
        {"run": {"script": "x", "timeout": 5}, "recover": "y", "bootstrap": "z", "dance": "w"},
        ComponentDependencies={
            "aws.greengrass.Nucleus": {"VersionRequirement": ">=2.0.0"},
            "soft": {"DependencyType": "SOFT"},
            "hard": {"VersionRequirement": "^1.0"},
        },
        Extra=1,
    )

    said = " | ".join(found.warnings)
    for part in (
        "Lifecycle.run.Timeout",
        "Lifecycle.recover",
        "Lifecycle.bootstrap",
        "Lifecycle.dance",
        "part of Greengrass",
        "soft: is SOFT",
        "version is ^1.0 is not checked",
        "extra: is not known",
    ):
        assert part in said
    assert found.services[-1].depends_on[0] == ("hard", Condition.RUNNING)


@pytest.mark.parametrize("root", ["relative", "/a b", "/x;rm", "/$(id)"])
def test_a_root_folder_that_the_shell_would_read_is_refused(root: str):
    with pytest.raises(BadInput):
        Vehicle(root=root)


@pytest.mark.parametrize("thing", ["a b", "$(id)", "x" * 129])
def test_a_thing_name_that_the_shell_would_read_is_refused(thing: str):
    with pytest.raises(BadInput):
        Vehicle(thing=thing)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    ["Manifests", "Lifecycle", "ComponentConfiguration", "ComponentDependencies"]
)
steps = st.sampled_from(["run", "install", "startup", "setenv", "shutdown", "script"])


@given(st.dictionaries(keys, json_like | st.dictionaries(steps, json_like), max_size=4))
def test_garbage_is_refused_and_nothing_else(others: dict[str, Any]):
    try:
        found = recipe({"run": "x"}, **others)
    except BadInput:
        return
    assert found.services
