"""The names of the TUF library that Fairway uses, loaded without the signers that come along.

`securesystemslib.signer` imports the library of each key service that is installed: for AWS that is boto3,
half a second of CPU and 30 MB in a vehicle, which only verifies.  Keys that sign are behind `fairway.signers`,
never in there.  So boto3 looks absent while the library is loaded, unless somebody needed it before.
"""

import sys

_HEAVY = "boto3"
_is_hidden = _HEAVY not in sys.modules
if _is_hidden:
    sys.modules[_HEAVY] = None  # type: ignore[assignment] # an import of it is an ImportError
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
    if _is_hidden:
        del sys.modules[_HEAVY]

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
