"""Opens and makes keys by name, whatever they lie in; each kind's library is imported when it is needed.

/etc/fairway/key.pem                                              a file
pkcs11:token=fairway;object=key?module-path=...&pin-source=...    a hardware token (RFC 7512)
tpm2:handle=0x81000001?tcti=device:/dev/tpmrm0                    a TPM 2.0
awskms:key=alias/fairway?region=eu-central-1                      AWS KMS
"""

from pathlib import Path

from fairway.crypto import Signer
from fairway.errors import BadInput


def open_signer(name: str | Path) -> Signer:
    """Return the key called `name`.  Raises BadInput for what is none, Unavailable when it is not there."""
    return _opened(str(name), make=False)


def make_signer(name: str | Path) -> Signer:
    """Make the key called `name` and return it.  Raises Conflict when there is one, BadInput, Unavailable."""
    return _opened(str(name), make=True)


def is_file(name: str | Path) -> bool:
    """Whether `name` is that of a key in a file."""
    return not str(name).startswith(("pkcs11:", "tpm2:", "awskms:"))


def _opened(name: str, *, make: bool) -> Signer:
    scheme = name.partition(":")[0]
    try:
        if scheme == "pkcs11":
            from fairway.signers import pkcs11  # noqa: PLC0415

            return pkcs11.make(name) if make else pkcs11.load(name)
        if scheme == "tpm2":
            from fairway.signers import tpm  # noqa: PLC0415

            return tpm.make(name) if make else tpm.load(name)
        if scheme == "awskms":
            from fairway.signers import kms  # noqa: PLC0415

            return kms.make(name) if make else kms.load(name)
    except ImportError as error:
        extra = {"pkcs11": "pkcs11", "tpm2": "tpm", "awskms": "cloud"}[scheme]
        raise BadInput(
            f"keys called {scheme}: need a library that is not here: pip install 'fairway[{extra}]' ({error})"
        ) from error
    from fairway.signers import file  # noqa: PLC0415

    return file.make(Path(name)) if make else file.load(Path(name))
