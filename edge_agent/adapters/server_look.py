"""A look at the server behind a gRPC address, before gRPC connects to it.

gRPC does not show its client whom it is connected to, and cannot be told to refuse TLS 1.2.  So a handshake of
our own comes first: it reads the certificate, and takes TLS 1.3 or nothing where that was asked for; a server
that has 1.3 does not fall back with gRPC either (RFC 8446, 4.1.3: both sides would notice).  The certificate
that was found good is then the only one that gRPC trusts: what was looked at is what is talked to.
"""

import asyncio
import ssl

from edge_agent.adapters.uplink_tls import Address, hint, server_context, server_uris, tls_context
from fairway.errors import BadInput, Unavailable


async def server_certificate(target: Address) -> bytes:
    """Return the server's certificate as PEM, once it is known to be one that we may talk to.

    Raises Unavailable, or Denied when it is none.
    """
    # Servers of TLS 1.3 show their certificate before they ask for ours, which may have its key in hardware.
    try:
        context = tls_context(target) if target.key else server_context(target)
    except BadInput as error:  # the files were good when we started
        raise Unavailable(str(error)) from error
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(
            target.host, target.port, ssl=context, server_hostname=target.host
        )
    except OSError as error:
        raise Unavailable(
            f"{target} cannot be reached: {str(error) or 'it hung up'}{hint(error)}"
        ) from error
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        target.guard.check_server(target.host, server_uris(tls.getpeercert()))
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"").encode()
    finally:
        writer.transport.abort()
