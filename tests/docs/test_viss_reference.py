"""The page of VISS names every filter, reason and limit that there is."""

import re

from edge_agent.adapters.kuksa_service import SUBSCRIPTIONS_MAX
from edge_agent.adapters.viss_http import CONNECTIONS_MAX
from edge_agent.adapters.viss_service import HISTORY_MAX
from edge_agent.adapters.viss_session import SUBSCRIPTIONS_OF_CONNECTION_MAX
from edge_agent.broker.viss_dialects import Dialect, Problem, Refused, error_of
from edge_agent.broker.viss_filters import BUFFER_MAX, PATHS_MAX, VARIANTS
from edge_agent.broker.viss_requests import REQUEST_MAX_BYTES
from edge_agent.broker.viss_tree import CAPABILITIES
from tests.docs.pages import DOCS

PAGE = (DOCS / "reference" / "viss.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_every_filter_is_there():
    rows = set(re.findall(r"^\| `([\w-]+)` \|", SECTIONS["Filters"], re.MULTILINE))

    assert rows == {"paths", *VARIANTS} - {"static-metadata"}
    assert "`static-metadata`" in SECTIONS["Filters"]
    assert set(CAPABILITIES["Server.Support.Filter"]) <= rows


def test_every_number_and_reason_is_there_and_no_other():
    told = re.findall(r"\| (\d+) `(\w+)` \| (\d+) `(\w+)` \|$", SECTIONS["Errors"], re.MULTILINE)
    errors = []
    for problem in Problem:
        v2, v3 = (error_of(Refused(problem), dialect) for dialect in (Dialect.V2, Dialect.V3))
        errors.append((str(v2["number"]), v2["reason"], v3["number"], v3["reason"]))

    assert set(told) == set(errors)
    assert len(told) == len(errors)


def test_every_limit_is_there():
    limits = SECTIONS["Limits"]
    for limit in (REQUEST_MAX_BYTES, PATHS_MAX, HISTORY_MAX, CONNECTIONS_MAX):
        assert f"{limit:,}" in limits
    assert f"{BUFFER_MAX:,} values" in SECTIONS["Filters"]
    assert f"more than {SUBSCRIPTIONS_OF_CONNECTION_MAX} subscriptions" in SECTIONS["Errors"]
    assert f"or {SUBSCRIPTIONS_MAX} of all" in SECTIONS["Errors"]
