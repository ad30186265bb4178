"""Settings of updates beside their door: where artifacts lie, who approves, and whose clients are served."""

from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Large files for vehicles: where they lie, and where vehicles fetch them."""

    # A folder that all processes of one cloud share; `artifacts` in data_dir by default.
    dir: Path | None = None
    # As grpcs://HOST:PORT, for vehicles that know no gRPC address or are to use another; by default this one.
    url: str = ""
    # In place of `dir`: s3://BUCKET/PREFIX, with the credentials that AWS's own tools would find.
    s3: str = ""
    s3_endpoint: str = ""  # of a server that speaks like S3; AWS's own by default
    # Vehicles fetch updates from the bucket, by addresses that are good for `url_life_s`.
    redirect: bool = True
    url_life_s: int = 3600
    # They fetch from this CloudFront distribution instead: https://..., and what signs for it.
    cloudfront_url: str = ""
    cloudfront_key_id: str = ""
    cloudfront_key: Path | None = None

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith("grpcs://"):
            raise BadInput(f"artifacts.url is {self.url!r}; write grpcs://HOST:PORT")
        if self.s3 and self.dir is not None:
            raise BadInput("artifacts lie in a folder or in a bucket: set dir or s3, not both")
        if not 60 <= self.url_life_s <= 604_800:
            raise BadInput(f"artifacts.url_life_s is {self.url_life_s}; choose from 60 to 604800")
        cloudfront = (self.cloudfront_url, self.cloudfront_key_id, self.cloudfront_key)
        if any(cloudfront) and not (all(cloudfront) and self.s3):
            raise BadInput(
                "cloudfront_url, cloudfront_key_id, cloudfront_key and s3 belong together: give all or none"
            )
        if self.cloudfront_url and not self.cloudfront_url.startswith("https://"):
            raise BadInput(
                f"artifacts.cloudfront_url is {self.cloudfront_url!r}; write https://..."
            )


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Rollouts: who approves them, and what signs what vehicles are told."""

    # Whether who made a rollout may approve it as well: for a fleet of one operator.
    self_approval: bool = False
    # Where the Director's online keys lie, {tenant} and {role} in it: pkcs11:..., awskms:...; by default files.
    director_key: str = ""

    def __post_init__(self) -> None:
        key = self.director_key
        if key and not ("{tenant}" in key and "{role}" in key):
            raise BadInput(
                f"director_key is {key!r}; write {{tenant}} and {{role}} where they belong"
            )


@dataclass(frozen=True, slots=True)
class HawkBit:
    """Clients of Eclipse hawkBit at the device door."""

    enabled: bool = False
    # Tokens can be shown again, as hawkBit's own API does; by default only their hashes are kept.
    show_tokens: bool = False
    # Addresses of proxies in front: what they say of a certificate that they have checked is believed.
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Jobs:
    """AWS IoT Jobs at the broker, for devices that know them."""

    # In one process of those that share a broker: two would answer twice.
    enabled: bool = False
