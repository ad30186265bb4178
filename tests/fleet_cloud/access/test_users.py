"""Passwords: kept as scrypt, wrong ones and unknown names refused alike."""

from dataclasses import replace

import pytest

from fairway.errors import BadInput, Denied, Tampered
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.roles import Role
from fleet_cloud.access.users import User, check_password, kept_password, user_name

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def ann() -> User:
    return User("ann", Grant(Role.VIEWER, "acme"), kept_password(PASSWORD), 1)


def test_the_right_password_is_let_in_and_not_kept(ann: User):
    check_password(ann, PASSWORD)

    assert PASSWORD not in ann.password
    assert kept_password(PASSWORD) != ann.password


def test_a_wrong_password_and_nobody_are_refused_alike(ann: User):
    said = set()
    for user, password in ((ann, "wrong horse battery"), (None, PASSWORD), (ann, "\udfff\0")):
        with pytest.raises(Denied) as denied:
            check_password(user, password)
        said.add(str(denied.value))

    assert said == {"the name or the password is wrong"}


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "plain",
        "scrypt$65536$8$1$*$*",
        "scrypt$65536$8$1$a$b",
        "scrypt$65537$8$1$AAAA$AAAA",
        "scrypt$999999999$8$1$AAAA$AAAA",
    ],
)
def test_a_record_that_was_changed_is_not_believed(ann: User, kept: str):
    with pytest.raises(Tampered):
        check_password(replace(ann, password=kept), PASSWORD)


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_short_and_endless_passwords_are_refused(password: str):
    with pytest.raises(BadInput):
        kept_password(password)


@pytest.mark.parametrize("name", ["", "Ann", "a@b", "a b", "../x", "é"])
def test_odd_names_are_refused(name: str):
    with pytest.raises(BadInput):
        user_name(name)
