"""Keys for AWS's clients: an id that is sent, and a secret that is made again and never kept."""

import pytest

from fairway.errors import BadInput, Denied
from fleet_cloud.access.aws_keys import fresh_aws_key, key_id, secret_of
from fleet_cloud.access.grants import ALL, Grant
from fleet_cloud.access.keys import holder
from fleet_cloud.access.roles import Role

ROOT = bytes(range(32))
GRANT = Grant(Role.VIEWER, "acme")


def test_a_key_looks_like_aws_own_and_its_secret_is_made_again_from_the_root():
    kept, pair = fresh_aws_key(ROOT, "tool", GRANT, 5, expires_time_ns=9)

    assert (len(pair.access_key_id), len(pair.secret_access_key)) == (20, 40)
    assert key_id(pair.access_key_id) == kept.id
    assert secret_of(ROOT, kept.id) == pair.secret_access_key
    assert (kept.name, kept.grant, kept.created_time_ns, kept.expires_time_ns) == (
        "tool",
        GRANT,
        5,
        9,
    )
    assert pair.secret_access_key not in repr(kept)


def test_two_keys_share_nothing():
    (one, first), (two, second) = (fresh_aws_key(ROOT, "tool", GRANT, 5) for _ in range(2))

    assert one.id != two.id
    assert first.secret_access_key != second.secret_access_key


def test_the_secret_of_another_root_is_nobodys():
    kept, pair = fresh_aws_key(ROOT, "tool", GRANT, 5)

    assert holder(kept, pair.secret_access_key, 6).actor == kept.actor
    with pytest.raises(Denied):
        holder(kept, secret_of(bytes(32), kept.id), 6)


@pytest.mark.parametrize("grant", [Grant(Role.ADMIN, ALL), Grant(Role.VIEWER, "acme", "north")])
def test_a_key_is_over_one_whole_tenant(grant: Grant):
    with pytest.raises(BadInput, match="one whole tenant"):
        fresh_aws_key(ROOT, "tool", grant, 5)


@pytest.mark.parametrize("text", ["", "AKIA0123456789ABCDEF", "FWAK0123456789abcdef", "FWAK0123"])
def test_what_is_no_access_key_id_of_ours_is_denied(text: str):
    with pytest.raises(Denied):
        key_id(text)
