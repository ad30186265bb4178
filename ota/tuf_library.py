"""The names of the TUF library that Fairway uses, loaded without the signers that come along.

`securesystemslib.signer` imports the library of each key service that is installed: with boto3 and pkcs11
that is half a second of CPU and 30 MB in a vehicle, which only verifies.  Keys that sign are behind
`fairway.signers`, never in there.  So they look absent while the library is loaded, unless they
are loaded already.
"""

import sys

_HIDDEN = [name for name in ("boto3", "pkcs11") if name not in sys.modules]
for _name in _HIDDEN:
    sys.modules[_name] = None  # type: ignore[assignment] # an import of it is an ImportError
try:
    from securesystemslib.exceptions import FormatError, UnverifiedSignatureError
    from securesystemslib.formats import encode_canonical
    from securesystemslib.signer import Key, Signature, SSlibKey
    from tuf.api.exceptions import LengthOrHashMismatchError
    from tuf.api.metadata import (
        Metadata,
        MetaFile,
        Root,
        Signed,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )
finally:
    for _name in _HIDDEN:
        del sys.modules[_name]

__all__ = [
    "FormatError",
    "Key",
    "LengthOrHashMismatchError",
    "MetaFile",
    "Metadata",
    "Root",
    "SSlibKey",
    "Signature",
    "Signed",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
    "UnverifiedSignatureError",
    "encode_canonical",
]
