"""The reference of manifests: its example is one, and every key is told with its default."""

import re

from fairway.services.manifest import service_document, service_from_yaml
from fairway.services.model import Service
from tests.docs.pages import DOCS

PAGE = (DOCS / "reference" / "service-manifest.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
ROWS = dict(re.findall(r"^\| (`.+?`) \| (.+?) \|", PAGE, re.MULTILINE))


def test_the_example_is_a_manifest():
    assert service_from_yaml(EXAMPLE).name == "tyre-watch"


def test_every_key_of_a_manifest_has_a_row():
    more = "stop: {signal: INT}, restart: NEVER, access: socket, network: host, on_loss: stop, tags: {a: b}"
    text = EXAMPLE + more.replace(", ", "\n") + "\nactive: false\n"
    told = {key.split(".")[0] for row in ROWS for key in re.findall(r"`([a-z_]+)", row)}

    assert {*service_document(service_from_yaml(text)), "runner"} <= told


def test_defaults_are_those_of_the_code():
    usual = Service("x", "1")

    assert ROWS["`resources.memory_max`"] == f"`{usual.resources.memory_max_bytes >> 20}MiB`"
    assert ROWS["`resources.cpu_max`"] == f"`{usual.resources.cpu_max:g}`"
    assert ROWS["`resources.pids_max`"] == f"`{usual.resources.pids_max}`"
    assert ROWS["`resources.files_max`"] == f"`{usual.resources.files_max}`"
    assert ROWS["`health.within_s`"] == f"`{usual.health.within_s:g}`"
    assert (
        ROWS["`stop.signal`, `stop.grace_s`"] == f"`{usual.stop_signal}`, `{usual.stop_grace_s:g}`"
    )
    assert ROWS["`restart`"] == f"`{usual.restart}`"
    assert ROWS["`change.how`"] == f"`{usual.change.how}`"
