"""`edge-agent token` issues what the door takes, explains it, and says in a sentence what is wrong."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.tokens import claims_of, load_keys
from edge_agent.cli import main
from tests.onboard_apps import Issuer


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer")


def said(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main(["token", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_new_key_issues_tokens_that_its_public_half_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    key, public = tmp_path / "keys" / "apps.pem", tmp_path / "apps.pub"

    public.write_text(said(capsys, "--new-key", key))
    assert said(capsys, "--public", key) == public.read_text()
    assert key.stat().st_mode & 0o077 == 0
    issued = json.loads(
        said(
            capsys, "--key", key, "--scope", "read:Vehicle", "--subject", "app", "--hours", 2,
            "--audience", "CAR-1/kuksa.val", "--issuer", "line 4", "--kid", "one", "--json",
        )
    )  # fmt: skip

    claims = claims_of(issued["token"], load_keys([public]))
    assert claims == issued["claims"]
    assert claims["exp"] - claims["iat"] == 7200
    assert (claims["aud"], claims["iss"], claims["sub"]) == (["CAR-1/kuksa.val"], "line 4", "app")


def test_a_token_is_explained_in_words_and_for_machines(
    issuer: Issuer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    token = issuer.token("read:Vehicle.Speed actuate:Vehicle.*.IsOpen")
    granted = ["may read Vehicle.Speed, or all below it", "may actuate Vehicle.*.IsOpen"]

    lines = said(capsys, "--check", token, "--keys", issuer.public).splitlines()
    assert lines[-3:] == [*granted, "signature checked"]
    assert 'sub: "app"' in lines
    assert said(capsys, "--check", token).endswith("signature NOT checked: give --keys\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"Bearer {token}\n"))
    explained = json.loads(said(capsys, "--check", "-", "--json"))
    assert (explained["grants"], explained["problem"]) == (granted, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--check", "{token}", "--keys", "{other}"], "signed by no key that is known here"),
        (["--check", "{token}", "--keys", "nowhere"], "cannot read the keys"),
        (["--check", "{expired}"], "would not be let in: the token has expired"),
        (["--check", "{token}", "--audience", "x"], "for kuksa.val, not for x"),
        (["--check", "{token}", "--issuer", "x"], "of the issuer 'fairway', not of 'x'"),
        (["--check", "hello"], "this is no token"),
        (["--key", "{key}", "--scope", "write", "--subject", "app"], "begins with none of"),
        (["--key", "{key}", "--scope", "read"], "--scope and --subject are needed"),
        (["--key", "{key}", "--scope", "read", "--subject", "a\x1b[2J"], "names are printable"),
        (
            ["--key", "{key}", "--scope", "read", "--subject", "a", "--hours", "nan"],
            "--hours is nan",
        ),
        (["--key", "{key}", "--scope", "read", "--subject", "a", "--hours", "0"], "--hours is 0"),
        (["--key", "{other}", "--scope", "read", "--subject", "a"], "can be read by others"),
        (["--new-key", "{key}"], "there is a key in"),
        (["--public", "nowhere"], "cannot read the key nowhere"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(
    tmp_path: Path,
    issuer: Issuer,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
):
    other = Issuer(tmp_path / "other")
    other.public.chmod(0o644)
    known = {
        "token": issuer.token(),
        "expired": issuer.token(seconds=-5),
        "key": tmp_path / "issuer" / "apps.pem",
        "other": other.public,
    }

    code = main(["token", *(argument.format(**known) for argument in arguments)])

    told = capsys.readouterr().err.splitlines()
    assert (code, len(told)) == (1, 1)
    assert words in told[0]


@pytest.mark.parametrize("arguments", [[], ["--key", "a", "--check", "b"], ["--hours", "soon"]])
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(["token", *arguments])
    assert ended.value.code == 2


def test_a_manifest_says_scopes_and_subject(
    issuer: Issuer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    key, manifest = tmp_path / "issuer" / "apps.pem", tmp_path / "AppManifest.json"
    point = {"path": "Vehicle.Speed", "access": "read"}
    interface = {
        "type": "vehicle-signal-interface",
        "config": {"datapoints": {"required": [point]}},
    }
    manifest.write_text(json.dumps({"name": "speedo", "interfaces": [interface]}))

    issued = json.loads(said(capsys, "--key", key, "--manifest", manifest, "--json"))["claims"]
    assert (issued["sub"], issued["scope"]) == ("speedo", "read:Vehicle.Speed")
    for arguments, sentence in [
        (("--scope", "read", "--manifest", manifest), "both say"),
        (("--manifest", tmp_path / "none.json"), "cannot read the manifest"),
        (("--manifest", key), "is no JSON"),
    ]:
        assert main(["token", "--key", str(key), *map(str, arguments)]) == 1
        assert sentence in capsys.readouterr().err
