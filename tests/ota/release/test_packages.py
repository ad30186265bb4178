"""What images hold is read out of their own databases, layer by layer."""

import io
import tarfile

from ota.release.packages import Package, found

DPKG = b"""Package: openssl
Status: install ok installed
Architecture: arm64
Version: 3.0.15-1~deb12u1

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1.0
"""
APK = b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:aarch64\n\nP:busybox\nV:1.36.1-r29\nA:aarch64\n"


def layer(**files: bytes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return io.BytesIO(buffer.getvalue()).read


def test_debian_alpine_and_python_are_understood():
    python = b"Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 4.12.2\n\nLong text"
    debian = found(
        [
            layer(
                **{
                    "etc/os-release": b'PRETTY_NAME="x"\nID=ubuntu\n',
                    "var/lib/dpkg/status": DPKG,
                    "usr/lib/python3/typing_extensions-4.12.2.dist-info/METADATA": python,
                }
            )
        ]
    )
    alpine = found([layer(**{"lib/apk/db/installed": APK})])

    assert [one.purl for one in debian] == [
        "pkg:deb/ubuntu/openssl@3.0.15-1~deb12u1?arch=arm64",
        "pkg:pypi/typing-extensions@4.12.2",
    ]
    assert [one.purl for one in alpine] == [
        "pkg:apk/alpine/busybox@1.36.1-r29?arch=aarch64",
        "pkg:apk/alpine/musl@1.2.5-r0?arch=aarch64",
    ]


def test_a_later_layer_covers_an_earlier_one():
    old = layer(**{"app/x-1.dist-info/METADATA": b"Name: x\nVersion: 1\n"})
    new = layer(**{"app/x-1.dist-info/METADATA": b"Name: x\nVersion: 1.post1\n"})

    assert found([old, new]) == (Package("pypi", "x", "1.post1"),)


def test_what_a_layer_takes_away_is_not_there():
    def below():
        return layer(
            **{"app/x-1.dist-info/METADATA": b"Name: x\nVersion: 1\n", "var/lib/dpkg/status": DPKG}
        )

    assert found([below(), layer(**{"app/.wh.x-1.dist-info": b""})]) == (
        Package("deb", "openssl", "3.0.15-1~deb12u1", "arm64", "debian"),
    )
    assert found([below(), layer(**{".wh.app": b"", "var/lib/.wh..wh..opq": b""})]) == ()


def test_a_database_that_is_none_says_nothing():
    assert found([layer(**{"var/lib/dpkg/status": b"\x00\xff\n\n:::\n"})]) == ()
