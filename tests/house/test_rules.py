"""Rules of the house that no other tool checks."""

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["fairway", "ota", "edge_agent", "fleet_cloud", "simulators"]
MAX_LINES = 400
LATER = ["TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error"]
GENERATED = (ROOT / "fairway" / "v1", ROOT / "fairway" / "foreign")


def sources(package: str) -> list[Path]:
    found = (ROOT / package).rglob("*.py")
    return [path for path in found if not set(GENERATED) & set(path.parents)]


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_else_installs_a_package_of_our_name(package: str):
    owners = set(packages_distributions().get(package, ["fairway"]))

    assert owners == {"fairway"}


@pytest.mark.parametrize("folder", ["proto", "dbc"])
def test_data_folders_are_not_importable(folder: str):
    assert list((ROOT / folder).rglob("*.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_fits_in_one_sitting(package: str):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) >= MAX_LINES
    }

    assert long == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_opens_with_what_it_is_for(package: str):
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(package)
        if (text := path.read_text(encoding="utf-8")).strip()
        and not ast.get_docstring(ast.parse(text))
    ]

    assert silent == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_leaves_work_for_later(package: str):
    later = re.compile(r"\b(?:" + "|".join(LATER) + r")\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources(package)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if later.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_one(package: str):
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_tests_stand_where_what_they_test_stands():
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    mirrored = {
        folder.relative_to(ROOT / "tests")
        for folder in folders
        if folder.relative_to(ROOT / "tests").parts[0] in PACKAGES
    }

    assert [str(folder) for folder in mirrored if not (ROOT / folder).is_dir()] == []
