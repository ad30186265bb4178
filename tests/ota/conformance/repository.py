"""A TUF repository over HTTP, and `python -m ota.conformance` as a program that looks at it from outside."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tuf.api.metadata import TargetFile

from ota.trust.model import Repository
from tests.ota.repository_simulator import RepositorySimulator

ROOT = Path(__file__).parents[3]


class Served:
    """A repository at an address, and what was asked of it."""

    def __init__(self, files: dict[str, bytes] | Path, address: str) -> None:
        self.files, self.address, self.asked = files, address, list[str]()

    def get(self, path: str) -> bytes | None:
        self.asked.append(path)
        if isinstance(self.files, Path):
            file = self.files / path
            return file.read_bytes() if file.is_file() else None
        return self.files.get(path)


@contextmanager
def served(files: dict[str, bytes] | Path) -> Iterator[Served]:
    """Serve files as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = repository.get(unquote(self.path.lstrip("/")) if plain else self.path[1:])
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    plain = isinstance(files, Path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repository = Served(files, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield repository
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Client:
    """The program, with its folders."""

    def __init__(self, folder: Path, server: Served, *, time: str = "") -> None:
        self.metadata, self.targets, self._server = folder / "metadata", folder / "targets", server
        self._folder, self.time, self.said = folder, time, ""
        self.metadata.mkdir(parents=True)

    def init(self, root: bytes) -> int:
        (self._folder / "initial.json").write_bytes(root)
        return self._run("init", str(self._folder / "initial.json"))

    def refresh(self) -> int:
        return self._run("--metadata-url", f"{self._server.address}/metadata/", "refresh")

    def download(self, *names: str) -> int:
        told = [one for name in names for one in ("--target-name", name)]
        return self._run(
            *("--metadata-url", f"{self._server.address}/metadata/", *told),
            *("--target-base-url", f"{self._server.address}/targets/"),
            *("--target-dir", str(self.targets), "download"),
        )

    def trusted(self) -> list[str]:
        """Return the names of the files that the client trusts."""
        return sorted(path.name for path in self.metadata.iterdir())

    def downloaded(self) -> list[bytes]:
        """Return what was downloaded."""
        return [path.read_bytes() for path in self.targets.rglob("*") if path.is_file()]

    def _run(self, *arguments: str) -> int:
        command = [sys.executable, "-m", "ota.conformance", "--metadata-dir", str(self.metadata)]
        if self.time:
            command = ["faketime", self.time, *command]
        environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, *arguments],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.said = done.stderr
        return done.returncode


class Simulated:
    """A simulated repository whose files are served under metadata/ and targets/."""

    def __init__(self) -> None:
        self.repository = RepositorySimulator(Repository.IMAGE, now=datetime.now(UTC))
        self.files: dict[str, bytes] = {}
        self.publish()
        self.root = self.repository.files["1.root.json"]

    def publish(self, **how: object) -> None:
        self.repository.publish(**how)  # type: ignore[arg-type]
        self.lay()

    def lay(self) -> None:
        """Serve what the repository has now."""
        targets = {name: one for name, one in self.files.items() if name.startswith("targets/")}
        self.files.clear()
        self.files.update(targets)
        self.files.update({f"metadata/{k}": v for k, v in self.repository.files.items()})

    def put_target(self, path: str, content: bytes, role: str = "targets") -> None:
        """Add a target and its bytes."""
        target = TargetFile.from_data(path, content)
        self.repository.roles[role].targets[path] = target
        self.files[f"targets/{target.get_prefixed_paths()[0]}"] = content
