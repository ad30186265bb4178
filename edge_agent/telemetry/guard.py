"""Which servers a vehicle talks to: those of its own region.

Rule 1: a server that shows an identity of Fairway's is a cloud of the vehicle's region, or is hung up on.
Rule 2: a server that shows none has a certificate of somebody else's authority, which says nothing of regions.
A vehicle that was told its region talks to it only at a host that was named as one of the region's.
Rule 3: a vehicle that was told no region has that of its own certificate; of a server without an identity it
then asks nothing, as before there were regions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fairway.errors import BadInput, Denied
from fairway.identity import Kind, identity_of, is_ours, region_name


@dataclass(frozen=True, slots=True)
class Guard:
    """What is asked of a server before anything is sent to it."""

    region: str = ""  # empty: nobody knows one
    is_told: bool = False  # by the configuration, not by the vehicle's certificate
    hosts: tuple[str, ...] = ()  # of the region; empty: any

    def check_host(self, host: str) -> None:
        """Raise BadInput unless `host` may be asked at all."""
        if self.hosts and not any(_fits(host, pattern) for pattern in self.hosts):
            raise BadInput(
                f"{host} is not a host of this vehicle's region {self.region or '(none)'}:"
                f" uplink.region_hosts has {', '.join(self.hosts)}"
            )

    def check_server(self, host: str, uris: Iterable[str]) -> None:
        """Raise Denied unless the server that shows a certificate with `uris` is one to talk to."""
        ours = [uri for uri in uris if is_ours(uri)]
        if not self.region:
            return
        if not ours:
            if self.is_told and not self.hosts:
                raise Denied(
                    f"the certificate of {host} says no region, and this vehicle is of {self.region}: name its"
                    " host in uplink.region_hosts if it is there"
                )
            return
        try:
            identity = identity_of(ours)
        except BadInput as error:
            raise Denied(f"the certificate of {host} cannot be believed: {error}") from error
        if identity.kind is not Kind.CLOUD:
            raise Denied(f"{host} shows the certificate of a {identity.kind}, and is no cloud")
        if identity.scope.region != self.region:
            raise Denied(
                f"{host} is of region {identity.scope.region}, and this vehicle is of {self.region}:"
                " nothing is sent there"
            )


def guard_of(told: str, hosts: tuple[str, ...], own_uris: Iterable[str]) -> Guard:
    """Return the guard of a vehicle that was `told` a region ("": none), with its own certificate's URIs.

    Raises BadInput when the two disagree, or a pattern is none.
    """
    for pattern in hosts:
        _check_pattern(pattern)
    own = _region_of(own_uris)
    if told and own and region_name(told) != own:
        raise BadInput(
            f"vehicle.region is {told}, and the vehicle's certificate is of region {own}: one of them is wrong"
        )
    return Guard(told or own, bool(told), hosts)


def _region_of(uris: Iterable[str]) -> str:
    ours = [uri for uri in uris if is_ours(uri)]
    return identity_of(ours).scope.region if ours else ""


def _check_pattern(pattern: str) -> None:
    name = pattern.removeprefix("*.")
    if not name or "*" in name or name.startswith("."):
        raise BadInput(
            f"{pattern!r} in uplink.region_hosts is no host: write a name, or *. and the end of some, as in"
            " *.eu.example"
        )


def _fits(host: str, pattern: str) -> bool:
    asked, wanted = host.lower().removesuffix("."), pattern.lower()
    return asked.endswith(wanted[1:]) if wanted.startswith("*.") else asked == wanted
