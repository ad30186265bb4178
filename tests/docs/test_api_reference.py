"""The API reference names every route and every parameter of a series, and nothing that is not there."""

import re
from pathlib import Path

from fleet_cloud.api.service import make_api
from tests.fleet_cloud.api.conftest import Cloud

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
SCHEMA = make_api(Cloud().ports()).openapi()
SERIES = "/v1/vehicles/{vehicle}/signals/{signal}/series"


def test_the_page_names_every_route():
    told = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", PAGE, re.MULTILINE))

    assert told == {
        f"{method.upper()} {path}"
        for path, methods in SCHEMA["paths"].items()
        for method in methods
    }


def test_the_page_names_every_parameter_of_a_series():
    table = PAGE.split("## Series")[1].split("## Live feed")[0]
    told = set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE))
    asked = SCHEMA["paths"][SERIES]["get"]["parameters"]

    assert told == {parameter["name"] for parameter in asked if parameter["in"] == "query"}
