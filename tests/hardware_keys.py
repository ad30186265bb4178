"""Real keepers of keys for tests: a SoftHSM2 token, and a TPM 2.0 simulated by swtpm, in folders of a test."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.ports import free_port
from tests.shared_data import missing

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN = "fairway"
PIN = "1234"


def softhsm_settings(folder: Path) -> dict[str, str]:
    """Return the environment in which a program sees the token of `folder`."""
    return {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}


@contextmanager
def softhsm(folder: Path) -> Iterator[Callable[[str], str]]:
    """Make a token, and yield what names a key in it; the environment says which token a process sees."""
    if not MODULE.exists():
        missing("SoftHSM2 is not installed: apt-get install softhsm2")
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    (folder / "pin").write_text(PIN + "\n")
    (folder / "pin").chmod(0o600)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ |= softhsm_settings(folder)
    tool = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN]
    subprocess.run([*tool, "--so-pin", PIN], check=True, capture_output=True)
    _again()
    source = f"module-path={quote(str(MODULE))}&pin-source={quote(str(folder / 'pin'))}"
    try:
        yield lambda label: f"pkcs11:token={TOKEN};object={label}?{source}"
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


def _again() -> None:
    """Have the module look at its configuration anew: it is loaded once a process."""
    import pkcs11  # noqa: PLC0415 - not everywhere

    library = pkcs11.lib(str(MODULE))
    library.reinitialize()


@contextmanager
def swtpm(folder: Path) -> Iterator[Callable[[int], str]]:
    """Run a TPM, and yield what names a key in it."""
    program = shutil.which("swtpm")
    try:
        import tpm2_pytss  # type: ignore[import-not-found,unused-ignore]  # noqa: F401, PLC0415
    except ImportError:
        program = None
    if program is None:
        missing("swtpm or tpm2-pytss is not here: apt-get install swtpm libtss2-dev, then make tpm")
    assert program is not None
    (folder / "tpm").mkdir(parents=True)
    port = _two_free_ports()
    child = subprocess.Popen(
        [
            *(program, "socket", "--tpm2", "--tpmstate", f"dir={folder / 'tpm'}"),
            *("--server", f"type=tcp,port={port},bindaddr=127.0.0.1"),
            *("--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"),
            *("--flags", "not-need-init,startup-clear"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port + 1, child)
        yield lambda handle: f"tpm2:handle={handle:#x}?tcti=swtpm:host=127.0.0.1,port={port}"
    finally:
        child.terminate()
        child.wait(10)


def _two_free_ports() -> int:
    """Return a port that is free together with the next: the TPM's library finds the control port so."""
    while True:
        port = free_port()
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _wait_for(port: int, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert child.poll() is None, "swtpm ended"
        # Looking at the table of sockets and not connecting: swtpm serves one connection, and ends with it.
        listening = f"0100007F:{port:04X} 00000000:0000 0A"
        if listening in Path("/proc/net/tcp").read_text():
            return
        time.sleep(0.02)
    raise AssertionError("swtpm did not start")
