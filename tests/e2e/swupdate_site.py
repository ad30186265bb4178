"""Debian's swupdate in a vehicle, and a device door for it; between them a line that can be cut."""

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.api.device.server import DoorTls, door
from tests.e2e.programs import until
from tests.foreign_site import TENANT, ForeignSite
from tests.ports import free_port
from tests.shared_data import missing

PROGRAM = "swupdate"
VEHICLE = "VIN1"
SIZE_BYTES = 3_000_000

_DESCRIPTION = """\
software =
{{
    version = "{version}";
    hardware-compatibility: [ "1.0" ];
    files: (
        {{ filename = "app.bin"; path = "{path}"; sha256 = "{sha256}"; }}
    );
}}
"""

_CONFIG = """\
globals :
{{
    verbose = true;
}};
suricatta :
{{
    tenant = "{tenant}";
    id = "{vehicle}";
    url = "{url}";
    polldelay = 1;
    retry = 5;
    retrywait = 1;
    targettoken = "{token}";
    cafile = "{ca}";
}};
identify : ( {{ name = "board"; value = "gateway"; }} );
"""


def swupdate() -> str:
    """Return the program, or skip the test."""
    found = shutil.which(PROGRAM)
    if found is None:
        missing("swupdate is not here: apt-get install swupdate (.ci/packages)")
    return str(found)


def cpio_crc(files: list[tuple[str, bytes]]) -> bytes:
    """Return an archive in cpio's format "crc", which .swu files are."""
    made = bytearray()
    for number, (name, data) in enumerate([*files, ("TRAILER!!!", b"")], start=1):
        fields = [
            number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, sum(data) & 0xFFFFFFFF,
        ]  # fmt: skip
        made += b"070702" + b"".join(b"%08X" % one for one in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + data
        made += bytes(-len(made) % 4)
    return bytes(made)


class Line:
    """Passes bytes on to a door, and is cut after so many of an answer."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self.cut_after_bytes: int | None = None
        self.cuts = self.passed_bytes = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to pass on."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    async def close(self) -> None:
        """End."""
        assert self._server is not None
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, out = await asyncio.open_connection("127.0.0.1", self._to_port)
        tasks = [
            asyncio.ensure_future(self._pump(reader, out, is_answer=False)),
            asyncio.ensure_future(self._pump(inside, writer, is_answer=True)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for one in (out, writer):
            with suppress(OSError):
                one.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        passed = 0
        with suppress(OSError):
            while data := await reader.read(65_536):
                passed += len(data)
                if is_answer and self.cut_after_bytes is not None and passed > self.cut_after_bytes:
                    self.cut_after_bytes = None
                    self.cuts += 1
                    writer.transport.abort()
                    return
                self.passed_bytes += len(data) if is_answer else 0
                writer.write(data)
                await writer.drain()


class SwupdateSite:
    """A fleet with one vehicle that swupdate serves, and a manager with hawkBit's management API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], SystemClock().now_ns())
        self.cloud = ForeignSite(clock=SystemClock())
        self.manager = self.cloud.manager()
        made = self.manager.post("/rest/v1/targets", json=[{"controllerId": VEHICLE}])
        self.token = made.json()[0]["securityToken"]
        self.manager.put("/rest/v1/system/configs/pollingTime", json={"value": "00:00:05"})
        self._opened = socket.create_server(("127.0.0.1", 0))
        self.line = Line(self._opened.getsockname()[1])
        self.installed = folder / "app.bin"
        self._programs: list[subprocess.Popen[bytes]] = []
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._is_open.wait(30)

    async def _serve(self) -> None:
        tls = DoorTls(self.pki.server, self.pki.server_key, self.pki.anchors)
        numbers = self.cloud.ports.device.numbers
        app, opened = self.cloud.app, self._opened
        async with door(app, opened, tls=tls, numbers=numbers, ended=lambda: None):
            await self.line.open()
            self._is_open.set()
            await self._ended.wait()
            await self.line.close()

    def close(self) -> None:
        """End everything."""
        for program in self._programs:
            self.end(program)
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def package(self, version: str, content: bytes) -> Path:
        """Build a signed .swu, as its maker does."""
        work = self.folder / f"package-{version}"
        work.mkdir()
        key, certificate = self._signer()
        (work / "app.bin").write_bytes(content)
        (work / "sw-description").write_text(
            _DESCRIPTION.format(
                version=version,
                path=self.installed,
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
        subprocess.run(
            ["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig",
             "-signer", certificate, "-inkey", key, "-outform", "DER", "-nosmimecap", "-binary"],
            cwd=work, check=True, capture_output=True,
        )  # fmt: skip
        package = self.folder / f"{version}.swu"
        names = ("sw-description", "sw-description.sig", "app.bin")
        package.write_bytes(cpio_crc([(name, (work / name).read_bytes()) for name in names]))
        return package

    def _signer(self) -> tuple[Path, Path]:
        key, certificate = self.folder / "signer-key.pem", self.folder / "signer.pem"
        if not key.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                 "-out", certificate, "-days", "30", "-subj", "/CN=release",
                 "-addext", "extendedKeyUsage=emailProtection"],
                check=True, capture_output=True,
            )  # fmt: skip
        return key, certificate

    def assign(self, package: Path, content: bytes | None = None) -> int:
        """Upload a package, and assign it to the vehicle; return the action."""
        version = package.stem
        module = {"name": "gateway", "version": version, "type": "os"}
        number = self._made("softwaremodules", module)
        data = package.read_bytes() if content is None else content
        files = {"file": (package.name, data)}
        done = self.manager.post(f"/rest/v1/softwaremodules/{number}/artifacts", files=files)
        assert done.status_code == 201, done.text
        together = {
            "name": "gateway",
            "version": version,
            "type": "os",
            "modules": [{"id": number}],
        }
        set_number = self._made("distributionsets", together)
        given = self.manager.post(
            f"/rest/v1/distributionsets/{set_number}/assignedTargets", json=[{"id": VEHICLE}]
        )
        return int(given.json()["assignedActions"][0]["id"])

    def _made(self, what: str, wish: dict[str, Any]) -> int:
        made = self.manager.post(f"/rest/v1/{what}", json=[wish])
        assert made.status_code == 201, made.text
        return int(made.json()[0]["id"])

    def start(self, *more: str) -> "subprocess.Popen[bytes]":
        """Start swupdate; `more` are its options as the system's start-up script would have them."""
        config = self.folder / "swupdate.cfg"
        config.write_text(
            _CONFIG.format(
                tenant=TENANT,
                vehicle=VEHICLE,
                url=f"https://127.0.0.1:{self.line.port}",
                token=self.token,
                ca=self.pki.ca,
            )
        )
        (self.folder / "tmp").mkdir(exist_ok=True)
        _, certificate = self._signer()
        command = [
            swupdate(), "-l", "5", "-f", str(config), "-k", str(certificate), "-H", "gateway:1.0", "-M", "-m",
            "-u", " ".join(["-e", *more]),
        ]  # fmt: skip
        log = (self.folder / "swupdate.log").open("ab")
        # Its sockets have names in a folder of its own: other programs have the usual one.
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        program = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        log.close()
        self._programs.append(program)
        return program

    def end(self, program: "subprocess.Popen[bytes]") -> None:
        """End swupdate, all of its processes."""
        if program.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, 15)
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, 9)
                program.wait(10)

    def action(self, number: int) -> dict[str, Any]:
        """Return an action as the management API shows it."""
        return dict(self.manager.get(f"/rest/v1/targets/{VEHICLE}/actions/{number}").json())

    def messages(self, number: int) -> list[str]:
        """Return all that was said of an action, the oldest first."""
        found = self.manager.get(f"/rest/v1/targets/{VEHICLE}/actions/{number}/status").json()
        return [one for status in found["content"][::-1] for one in status["messages"]]

    def types(self, number: int) -> list[str]:
        """Return which kinds of things were said of an action, the oldest first."""
        found = self.manager.get(f"/rest/v1/targets/{VEHICLE}/actions/{number}/status").json()
        return [status["type"] for status in found["content"][::-1]]

    def answers(self, status: int) -> int:
        """Return how many requests for files were answered so."""
        requests = self.cloud.ports.device.numbers.requests
        return sum(
            count
            for (route, code), count in requests.items()
            if code == status and route.endswith("/{filename}")
        )

    def until(self, is_so: Callable[[], object], what: str, within_s: float = 30.0) -> None:
        """Wait until something is so."""
        try:
            until(what, lambda: bool(is_so()), within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-4000:]}") from error

    def log(self) -> str:
        """Return what swupdate has written."""
        return (self.folder / "swupdate.log").read_text(errors="replace")
