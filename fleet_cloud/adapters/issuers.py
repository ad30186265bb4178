"""The issuers of the configuration, as one reader of tokens."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fairway.clock import Clock
from fairway.errors import BadInput
from fleet_cloud.access.tokens import NoTokens, Tokens, Trust
from fleet_cloud.adapters.oidc import Believed, OidcTokens
from fleet_cloud.adapters.oidc_discovery import DiscoveredKeys
from fleet_cloud.config import Oidc


def tokens_of(named: Sequence[Oidc], own: Believed | None, clock: Clock) -> Tokens:
    """Return what reads the tokens of these issuers.  Raises BadInput for one that cannot be believed."""
    issuers = [_believed(one, clock) for one in named]
    urls = [one.trust.issuer for one in issuers]
    if len(set(urls)) < len(urls):
        raise BadInput("an issuer stands twice in oidc: what its words mean is said in one place")
    if own is not None:
        issuers.append(own)
    return OidcTokens(issuers, clock) if issuers else NoTokens()


def _believed(one: Oidc, clock: Clock) -> Believed:
    if not one.audience:
        raise BadInput(f"audience is empty: tokens of {one.issuer} for anybody would be let in")
    keys = DiscoveredKeys(one.issuer, clock)
    suffix = f"@{urlsplit(one.issuer).hostname}"
    trust = Trust(one.issuer, one.audience, one.roles_claim, one.tenant, one.grants, suffix)
    return Believed(trust, keys)
