"""The performance reference names every benchmark, and no other."""

import re
from pathlib import Path

from tests.docs.pages import DOCS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_table_of_benchmarks_has_each_module_once():
    page = (DOCS / "reference" / "performance.md").read_text(encoding="utf-8")
    table = page.partition("| module | measures |")[2].partition("\n\n")[0]
    modules = {path.stem for path in BENCHMARKS.glob("[!_]*.py")} - {"report"}

    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(modules)
