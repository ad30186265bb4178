"""The recipes for CI systems: each parses, and its commands make a release here, with a person in between."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.e2e.programs import BIN
from tests.ota.release_kit import Kit, inputs, release

RECIPES = ROOT / "deploy" / "ci"
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Recipe:
    """Commands of its two jobs."""

    build: list[str]
    publish: list[str]


def github() -> Recipe:
    jobs = loaded("github/release.yml")["jobs"]

    def lines(job: str) -> list[str]:
        steps = [step["run"] for step in jobs[job]["steps"] if "run" in step]
        return [line for step in steps for line in step.splitlines()]

    assert jobs["publish"]["environment"] == "vehicles"  # its reviewers are the human approval
    return Recipe(lines("build"), lines("publish"))


def gitlab() -> Recipe:
    jobs = loaded("gitlab/release.gitlab-ci.yml")
    assert jobs["release-publish"]["rules"][0]["when"] == "manual"
    return Recipe(jobs["release-build"]["script"], jobs["release-publish"]["script"])


def aws() -> Recipe:
    def lines(file: str) -> list[str]:
        phases = loaded(f"aws/{file}")["phases"]
        return [line for phase in phases.values() for line in phase["commands"]]

    return Recipe(lines("buildspec-build.yml"), lines("buildspec-publish.yml"))


def loaded(name: str) -> Any:
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("recipe", [github, gitlab, aws])
def test_its_commands_make_a_release_with_a_person_in_between(recipe, tmp_path: Path):
    said = recipe()
    kit = Kit(tmp_path).init()
    inputs(tmp_path)
    kit.write(release())
    environment = variables(kit)

    run(said.build, environment, tmp_path)
    alone = list(attempts(said.publish, environment, tmp_path))
    assert any("awaiting signature: 1 of 2 (ci)" in one.stderr for one in alone)
    assert not list((tmp_path / "public" / "metadata").glob("*.json"))

    kit.must("cosign", "--key", kit.key("owner-1"))
    run(said.publish, environment, tmp_path)

    statement = next(
        text
        for path in kit.folder.glob("documents/*")
        if '"https://slsa.dev/provenance/v1"' in (text := path.read_text())
    )
    assert '"commit":"0123abcd"' in statement
    assert (tmp_path / "public" / "metadata" / "timestamp.json").exists()


@pytest.mark.parametrize("recipe", [github, gitlab, aws])
def test_the_job_that_builds_has_no_way_to_the_online_keys(recipe):
    build = "\n".join(recipe().build)

    assert "cosign" not in build + "\n".join(recipe().publish)
    assert "TIMESTAMP_KEY" not in build
    assert "CI_KEY" not in "\n".join(recipe().publish)


def test_the_pipeline_of_aws_asks_a_person_between_build_and_publishing():
    stack = loaded("aws/pipeline.yml")["Resources"]
    stages = stack["Pipeline"]["Properties"]["Stages"]
    kinds = [stage["Actions"][0]["ActionTypeId"]["Category"] for stage in stages]

    assert kinds == ["Source", "Build", "Approval", "Build"]
    assert signs_with(stack["BuildRole"]) == [{"Ref": "CiKey"}]
    assert signs_with(stack["PublishRole"]) == [{"Ref": "OnlineKey"}]


def test_the_stack_of_aws_names_only_what_it_has():
    stack = loaded("aws/pipeline.yml")
    known = {*stack["Resources"], *stack["Parameters"]}

    assert {name for name in references(stack["Resources"]) if "::" not in name} <= known


def test_the_project_of_aws_gives_the_commands_their_variables():
    stack = loaded("aws/pipeline.yml")["Resources"]
    for project, file in (("Build", "buildspec-build.yml"), ("Publish", "buildspec-publish.yml")):
        given = stack[project]["Properties"]["Environment"]["EnvironmentVariables"]
        names = {one["Name"] for one in given}
        names |= set(loaded(f"aws/{file}")["env"]["variables"])
        names |= {"RELEASE_COMMIT", "RELEASE_RUN", "RELEASE_TOKEN"}
        lines = [
            line for phase in loaded(f"aws/{file}")["phases"].values() for line in phase["commands"]
        ]
        used = {word.strip('"=').split('"')[0] for line in lines for word in line.split("$")[1:]}
        used = {one.split("}")[0].rstrip("'") for one in used if one.startswith("RELEASE_")}
        assert used <= names


def signs_with(role: dict[str, Any]) -> list[object]:
    return [
        one["Resource"]
        for policy in role["Properties"]["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
        if "kms:Sign" in one["Action"]
    ]


def references(said: object) -> Iterator[str]:
    if isinstance(said, dict):
        if set(said) == {"Ref"}:
            yield said["Ref"]
        elif set(said) == {"Fn::GetAtt"}:
            yield said["Fn::GetAtt"][0]
        for one in said.values():
            yield from references(one)
    elif isinstance(said, list):
        for one in said:
            yield from references(one)


def variables(kit: Kit) -> dict[str, str]:
    (kit.path / "token").write_text("an-api-key")
    return os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RELEASE_FOLDER": str(kit.folder),
        "RELEASE_FILE": "release.toml",
        "RELEASE_PLACE": str(kit.path / "public"),
        "RELEASE_TOKEN_FILE": str(kit.path / "token"),
        "RELEASE_CI_KEY": kit.key("ci"),
        "RELEASE_SNAPSHOT_KEY": kit.key("snapshot-1"),
        "RELEASE_TIMESTAMP_KEY": kit.key("timestamp-1"),
        "RELEASE_BUILDER": "https://builder.example",
        "RELEASE_REPOSITORY": "https://code.example/head-unit",
        "RELEASE_COMMIT": "0123abcd",
        "RELEASE_RUN": "https://code.example/runs/7",
    }


def attempts(
    lines: list[str], environment: dict[str, str], at: Path
) -> Iterator["subprocess.CompletedProcess[str]"]:
    ours = [line for line in lines if line.startswith("ota-release ")]
    assert ours, "the recipe has no command of ours"
    for line in ours:
        yield subprocess.run(
            ["bash", "-euc", line],
            check=False,
            cwd=at,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


def run(lines: list[str], environment: dict[str, str], at: Path) -> None:
    for done in attempts(lines, environment, at):
        assert done.returncode == 0, done.stderr
