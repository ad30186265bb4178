"""Updates put together from settings: what cannot be is said at the start, in one sentence."""

from pathlib import Path

import pytest

from edge_agent.adapters.updates_open import UpdateParts, open_updates
from edge_agent.adapters.uplink_tls import Address
from edge_agent.broker.feed import HistoryLimits, data_of
from edge_agent.config import Config
from edge_agent.updates.numbers import UpdateNumbers
from fairway.catalog.model import Catalog
from fairway.clock import ManualClock
from fairway.config import loads
from fairway.errors import BadInput
from fairway.samples import SignalTable

BASE = """
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
source = "socketcan:can0"
databases = []
[spool]
dir = "state/spool"
[updates]
{more}
"""
ECU = '[[updates.ecu]]\nserial = "{serial}"\nhardware_id = "h"\nkind = "{kind}"\n{more}\n'
CLOUD = Address("https", "cloud.example", 443)


def opened(folder: Path, more: str, target: Address | None = None) -> UpdateParts:
    (folder / "state").mkdir(exist_ok=True)
    config = loads(Config, BASE.format(more=more).encode(), where="agent.toml", base=folder)
    clock = ManualClock()
    data = data_of(Catalog(()), SignalTable(()), HistoryLimits(1, 1, 1 << 20), clock)
    return open_updates(config, data, clock, target=target, services=None, is_metered=lambda: False)


@pytest.mark.parametrize("boot", ["uboot", "grub", "efi", "rauc", "simulated"])
def test_every_bootloader_is_opened_without_being_asked(tmp_path: Path, boot: str):
    more = f'devices = ["a.img", "b.img"]\nboot = "{boot}"'

    parts = opened(tmp_path, ECU.format(serial="gw", kind="slot", more=more))

    assert parts.numbers() == UpdateNumbers()
    parts.close()


def test_folders_and_simulated_ecus_need_nothing_else(tmp_path: Path):
    maps = ECU.format(serial="maps", kind="file", more='folder = "maps"')

    parts = opened(tmp_path, maps + ECU.format(serial="sim", kind="simulated", more=""))

    assert parts.cloud is None
    parts.close()


@pytest.mark.parametrize(
    ("more", "target", "sentence"),
    [
        (ECU.format(serial="svc", kind="container", more=""), None, "no \\[services\\] to run it"),
        ('conditions = ["parkd"]', None, "'parkd' is no condition"),
        ('window_from = "25:00"\nwindow_until = "4"', None, "is no time of the day"),
        ("", CLOUD, "set \\[updates\\] director_root and image_root"),
        (
            'director_root = "none.json"\nimage_root = "none.json"\n'
            + ECU.format(serial="sim", kind="simulated", more=""),
            CLOUD,
            "none.json cannot be read",
        ),
        (
            'director_root = "r.json"\nimage_root = "r.json"',
            CLOUD,
            "nothing could be installed",
        ),
        (
            'url = "http://cloud.example"\ndirector_root = "r.json"\nimage_root = "r.json"\n'
            + ECU.format(serial="sim", kind="simulated", more=""),
            CLOUD,
            "is no address of updates",
        ),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, more: str, target: Address | None, sentence: str):
    (tmp_path / "r.json").write_bytes(b"{}")

    with pytest.raises(BadInput, match=sentence):
        opened(tmp_path, more, target)
