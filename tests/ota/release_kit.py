"""A release folder as people have it: keys, a release file, and the tool run as a command."""

import io
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ota.cli import main
from ota.release.folder import Folder
from tests.small_image import small_image, write_layout

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The last line of what it said to people."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


@dataclass(frozen=True)
class Kit:
    """A folder of work."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path / "rel"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    def key(self, label: str) -> str:
        return str(self.keys / f"{label}.pem")

    def run(self, command: str, *words: object, here: bool = True) -> Ran:
        """Run a command on the release folder, in this process."""
        said = [command, *(str(word) for word in words)]
        said += ["--folder", str(self.folder)] if here else []
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(said)
        return Ran(code, out.getvalue(), err.getvalue())

    def must(self, command: str, *words: object, here: bool = True) -> Ran:
        """Run a command that has to succeed."""
        ran = self.run(command, *words, here=here)
        assert ran.code == 0, ran.err
        return ran

    def init(self, *words: object) -> "Kit":
        self.must("init", self.folder, "--keys", self.keys, *words, here=False)
        return self

    def sign_all(self, owner: str = "owner-1") -> None:
        """CI signs, a person signs, and it counts."""
        self.must("sign", "--key", self.key("ci"))
        self.must("cosign", "--key", self.key(owner))
        self.stamp()

    def stamp(self, *words: object) -> Ran:
        snapshot = self.key("snapshot-1")
        return self.must(
            "timestamp", "--key", self.key("timestamp-1"), "--snapshot-key", snapshot, *words
        )

    def open(self) -> Folder:
        return Folder(self.folder)

    def write(self, text: str, name: str = "release.toml") -> Path:
        (self.path / name).write_text(text)
        return self.path / name


def release(version: str = "1.0.0", more: str = "") -> str:
    """Return a release file of one component of each kind."""
    return f"""
name = "head-unit"
version = "{version}"
purpose = "closes a hole in the radio"
user_text = {{ en = "Security update", de = "Sicherheitsupdate" }}
{more}

[[component]]
kind = "container"
name = "battery-health"
path = "layout"
service = "battery-health.yaml"
hardware_ids = ["gateway-2"]

[[component]]
kind = "slot"
name = "system"
path = "system.img"
hardware_ids = ["gateway-2"]
rxswin = ["R79 v3"]
install = {{ order = 1, conditions = ["parked"], needs_consent = true }}

[[component]]
kind = "uds_ecu"
name = "brake"
path = "brake.hex"
hardware_ids = ["brake-7"]
requires = [{{ name = "system", counter_min = 1 }}]
install = {{ order = 2, is_safety = true }}

[[component]]
kind = "file"
name = "maps"
path = "maps"
hardware_ids = ["gateway-2"]
"""


SERVICE = """
name: battery-health
version: 1.0.0
signals:
  read: [Vehicle.Powertrain.TractionBattery.StateOfCharge.Current]
"""

HEX = """:020000040800F2
:10000000000102030405060708090A0B0C0D0E0F78
:04001000AABBCCDDDE
:0400200011223344 32
:00000001FF
"""


def inputs(path: Path, *, seed: int = 1) -> None:
    """Write what the release file names."""
    chance = random.Random(seed)
    if not (path / "layout").exists():
        write_layout(path / "layout", small_image(b"a program %d" % seed), "battery-health:1")
    (path / "battery-health.yaml").write_text(SERVICE)
    system = bytearray(random.Random(0).randbytes(200_000)) + b"a file system " * 320_000
    for _ in range(20 * (seed - 1)):
        at = chance.randrange(190_000)
        system[at : at + 10] = chance.randbytes(10)
    (path / "system.img").write_bytes(system)
    (path / "brake.hex").write_text(HEX.replace(" ", ""))
    (path / "maps" / "eu").mkdir(parents=True, exist_ok=True)
    (path / "maps" / "eu" / "tile.bin").write_bytes(chance.randbytes(1000))
    package = path / "maps" / "reader-1.2.dist-info"
    package.mkdir(exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: reader\nVersion: 1.2\n\n")


@contextmanager
def built(path: Path, *words: object) -> Iterator[Kit]:
    """A folder with a first release in its drafts."""
    kit = Kit(path).init(*words)
    inputs(path)
    kit.must("build", kit.write(release()))
    yield kit
