"""TLS 1.3 and nothing older at the gRPC door.

gRPC for Python has no setting for it.  It has a list of ciphers, which is for TLS 1.2 alone: those of 1.3 are
not chosen.  The one named needs an RSA key; server keys of Fairway are on P-256 (fairway/crypto.py), so that
no handshake in TLS 1.2 finds a cipher.

Rule 1: gRPC reads the list when it is imported, so this comes first.  tests/e2e/test_identity looks whether it
did.
"""

import os

_LIST = "GRPC_SSL_CIPHER_SUITES"
_FOR_RSA_KEYS = "ECDHE-RSA-AES256-GCM-SHA384"


def refuse_tls_1_2() -> None:
    """Have gRPC, which is not imported yet, speak TLS 1.3 only."""
    os.environ[_LIST] = _FOR_RSA_KEYS  # noqa: TID251 - for gRPC, not for us
