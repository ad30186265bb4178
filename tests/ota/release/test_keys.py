"""Roles are held by keys in files, in a real SoftHSM2 token and in a fake KMS; python-tuf verifies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from fairway.errors import BadInput
from ota.release.keys import TufSigner, made, opened, public_half
from tests.fake_kms import kms_server
from tests.hardware_keys import softhsm
from tests.ota.release.test_ci_alone import python_tuf
from tests.ota.release_kit import Kit, inputs, release

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(params=["pkcs11", "awskms"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    if request.param == "pkcs11":
        with softhsm(tmp_path / "token") as token:
            yield token
    else:
        with kms_server() as kms:
            yield lambda label: kms(f"alias/{label}")


def keys_file(kit: Kit, name: Callable[[str], str]) -> Path:
    """CI and one owner hold hardware keys; root and targets are files, the boss is elsewhere."""
    made(kit.key("boss"))
    pem = public_half(kit.key("boss")).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (kit.path / "boss.pem").write_bytes(pem)
    return kit.write(
        f"""
[root]
threshold = 2
keys = {{ root-1 = "keys/root-1.pem", root-2 = "keys/root-2.pem" }}
[targets]
keys = {{ targets-1 = "keys/targets-1.pem", targets-2 = "keys/targets-2.pem" }}
[releases]
ci = {{ pipeline = "{name("pipeline")}" }}
keys = {{ owner = "{name("owner")}", boss = "public:boss.pem" }}
[snapshot]
keys = {{ online = "{name("online")}" }}
[timestamp]
keys = {{ online = "{name("online")}" }}
""",
        "keys.toml",
    )


def test_a_release_is_signed_with_keys_that_are_not_files(
    name: Callable[[str], str], tmp_path: Path
):
    kit = Kit(tmp_path)
    file = keys_file(kit, name)
    kit.must("init", kit.folder, "--keys-file", file, "--make-keys", here=False)
    inputs(tmp_path)
    kit.must("build", kit.write(release()))

    kit.must("sign", "--key", name("pipeline"))
    assert "1 of 2 (pipeline); may sign: boss, owner" in kit.run("publish", tmp_path / "p").sentence
    kit.must("cosign", "--key", name("owner"))
    kit.must("timestamp", "--key", name("online"))

    kit.must("verify")
    assert python_tuf(kit, kit.open().files()).get_targetinfo("brake/1.0.0.bin") is not None


def test_a_key_that_is_elsewhere_signs_when_it_comes(name: Callable[[str], str], tmp_path: Path):
    kit = Kit(tmp_path)
    kit.must("init", kit.folder, "--keys-file", keys_file(kit, name), "--make-keys", here=False)
    inputs(tmp_path)
    kit.must("build", kit.write(release()))
    kit.must("sign", "--key", name("pipeline"))

    refused = kit.run("cosign", "--key", f"public:{kit.path / 'boss.pem'}")
    kit.must("cosign", "--key", kit.key("boss"))

    assert "is a public half" in refused.sentence
    assert kit.open().drafts() == []


def test_a_name_leads_to_the_key_that_metadata_names(tmp_path: Path):
    mine = made(str(tmp_path / "mine.pem"))
    other = made(str(tmp_path / "other.pem"))

    again = TufSigner.from_priv_key_uri(str(tmp_path / "mine.pem"), mine.public_key)

    mine.public_key.verify_signature(again.sign(b"x"), b"x")
    assert opened(str(tmp_path / "mine.pem")).keyid == mine.keyid
    with pytest.raises(BadInput, match="is another key"):
        TufSigner.from_priv_key_uri(str(tmp_path / "mine.pem"), other.public_key)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[root]", "[rot]", "the keys of role root are not said"),
        ("threshold = 2", "threshold = 3", "has 2 keys and a threshold of 3"),
        (
            "[targets]",
            "[targets]\nthreshold = 1\nci = { ci = 'keys/ci.pem' }",
            "would meet it alone",
        ),
        ("threshold = 2", "thresholds = 2", "did you mean threshold?"),
        ("[snapshot]", "[snapshot]\nci = { ci = 'keys/ci.pem' }", "signed by servers"),
        ("[releases]", "[releases]\nthreshold = 1", "would meet it alone"),
        ('root-2 = "keys/root-2.pem"', "root-2 = '{online}'", "held by two kinds of hands"),
        ("[root]", "[root", "is not TOML"),
    ],
)
def test_a_wrong_keys_file_is_one_sentence(old: str, new: str, why: str, tmp_path: Path):
    kit = Kit(tmp_path)
    file = keys_file(kit, lambda label: str(kit.key(label)))
    new = new.format(online=kit.key("online")) if "{online}" in new else new
    file.write_text(file.read_text().replace(old, new, 1))

    ran = kit.run("init", kit.folder, "--keys-file", file, "--make-keys", here=False)

    assert ran.code == 1
    assert why in ran.sentence
    assert not kit.folder.exists()
