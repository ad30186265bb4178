"""Apps in the vehicle before the real agent: served with a good token, refused without."""

import os
import stat
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from fairway.clock import SystemClock
from tests.certificates import Authority
from tests.e2e.programs import Program, run, until
from tests.edge_agent.agents import DBC, drive, write_log
from tests.onboard_apps import Issuer, bearer, channel, health, refusal, services
from tests.ports import free_port
from tests.shared_data import ROOT, missing

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = ["car.dbc"]
[replay]
log = "drive.log"
speed = 1
[telemetry]
collect = "all"
[spool]
dir = "data/spool"
[metrics]
listen = "127.0.0.1:{metrics}"
[onboard]
keys = ["issuer/apps.pub"]
{onboard}
"""
KUKSA_CLIENT = ROOT / ".kuksa" / "bin" / "kuksa-client"

Start = Callable[[str], Program]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer")


@pytest.fixture
def metrics_port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, issuer: Issuer, metrics_port: int) -> Iterator[Start]:
    """Give what starts an agent with more settings of its door, and returns it when it said so."""
    programs: list[Program] = []
    (tmp_path / "car.dbc").write_text(DBC)
    write_log(tmp_path / "drive.log", drive(30_000))

    def started(onboard: str) -> Program:
        config = tmp_path / "agent.toml"
        config.write_text(SETTINGS.format(metrics=metrics_port, onboard=onboard))
        log = tmp_path / f"agent-{len(programs)}.log"
        program = Program("edge-agent", "run", "--config", config, log=log).start()
        programs.append(program)
        until("the door", lambda: not program.is_running or "onboard_listen" in program.said())
        return program

    yield started
    for program in programs:
        program.close()


def refused(where: str, metadata: tuple[tuple[str, str], ...] = ()) -> tuple[str, str]:
    with channel(where) as app, pytest.raises(grpc.RpcError) as error:
        health(app, metadata)
    return refusal(error.value)


def test_the_socket_serves_who_has_a_token(
    tmp_path: Path, start: Start, issuer: Issuer, metrics_port: int
):
    path = tmp_path / "data" / "onboard.sock"
    key, scope = tmp_path / "issuer" / "apps.pem", "read:Vehicle.Speed"
    token = run("edge-agent", "token", "--key", key, "--scope", scope, "--subject", "app").stdout
    agent = start("")
    where = f"unix:{path}"

    state = path.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o660, os.geteuid())
    with channel(where) as app:
        assert health(app, bearer(token.strip())) == "SERVING"
        assert "grpc.health.v1.Health" in services(app, bearer(token.strip()))
    assert refused(where) == ("UNAUTHENTICATED", "no token: send `authorization: Bearer TOKEN`")
    code, sentence = refused(where, bearer(issuer.token(seconds=-5)))
    assert (code, "the token has expired" in sentence) == ("UNAUTHENTICATED", True)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    assert 'fairway_edge_onboard_refused_total{reason="no_token"} 1.0' in told
    assert 'fairway_edge_onboard_refused_total{reason="denied_token"} 1.0' in told

    agent.kill()  # leaves a dead socket, which the next one replaces
    again = start("")
    with channel(where) as app:
        assert health(app, bearer(token.strip())) == "SERVING"
    assert again.stop() == 0, again.said()
    assert not path.exists()
    assert token.strip() not in again.said()


def test_a_door_that_cannot_open_is_one_sentence(tmp_path: Path, start: Start):
    agent = start('listen = "tcp://127.0.0.1:1"')

    assert agent.wait(20) == 1
    assert agent.said().splitlines()[-1].startswith("edge-agent: onboard.listen is 'tcp://")
    assert "Traceback" not in agent.said()


def kuksa(where: str, token: Path, ca: Path | None = None) -> str:
    """Run KUKSA's own client unmodified: it connects, shows its token and asks who serves."""
    if not KUKSA_CLIENT.exists():
        missing("kuksa-client is not here: make .kuksa/ready")
    options = ["--token_or_tokenfile", str(token)] + (["--cacertificate", str(ca)] if ca else [])
    done = subprocess.run(
        [str(KUKSA_CLIENT), *options, where],
        input="getValue Vehicle.Speed\nquit\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=token.parent,  # it leaves a history behind
    )
    return done.stdout + done.stderr


def test_kuksas_own_client_reaches_the_door_by_tls_with_its_token(
    tmp_path: Path, start: Start, issuer: Issuer
):
    authority = Authority(tmp_path / "pki")
    server = authority.server()
    port = free_port()
    start(
        f'listen = "tls://127.0.0.1:{port}"\n'
        f'certificate = "{server.certificate}"\nkey = "{server.key}"'
    )
    good, old = tmp_path / "good.token", tmp_path / "old.token"
    good.write_text(issuer.token())
    old.write_text(issuer.token(now_ns=SystemClock().now_ns() - 3600 * 10**9))

    said = kuksa(f"grpcs://localhost:{port}", good, authority.ca)
    assert "UNAUTHENTICATED" not in said.upper(), said
    assert "nothing is there for 'Vehicle.Speed'" in said, said  # let in, and told so

    said = kuksa(f"grpcs://localhost:{port}", old, authority.ca)
    assert "the token has expired" in said, said
