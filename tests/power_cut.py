"""Cuts the power of a real program: what is on the medium then is what was synced, and perhaps some more.

    for state in cuts([sys.executable, "child.py", folder], folder, tmp_path): open what lies in state.folder

A small library goes between the program and fsync/fdatasync (LD_PRELOAD).  After each sync it copies the file,
so that for every sync, in order, there are the files as the medium may have them if the power fails there:

    dropped    each file as it was when it was last synced; never synced: not there
    torn-1, 2  the file being synced: as dropped, and the first third or two of what was written since
    torn-3     as dropped, and the second half of what was written since: blocks land in any order

Rule 1: what was not synced counts for nothing, or for some: never for certain.
Rule 2: a new name is durable once its file is synced; a removed one comes back until its folder is.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Shared memory of SQLite's log: it is made anew after a cut.
_NEVER_DURABLE = "-shm"

SHIM = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number;

static void listed(const char *folder, const char *into) {
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/%06d.listed.", into, number) >= PATH_MAX) abort();
    FILE *list = fopen(name, "w");
    DIR *open_folder = opendir(folder);
    for (struct dirent *one; list && open_folder && (one = readdir(open_folder));)
        fprintf(list, "%s\n", one->d_name);
    if (open_folder) closedir(open_folder);
    if (list) fclose(list);
}

static void copied(int fd, const char *when) {
    const char *watched = getenv("POWER_CUT_WATCHED"), *into = getenv("POWER_CUT_INTO");
    char link[64], path[PATH_MAX], name[PATH_MAX];
    if (!watched || !into) return;
    number++;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (strncmp(path, watched, strlen(watched))) return;
    if (!path[strlen(watched)]) { listed(path, into); return; }
    const char *base = strrchr(path, '/') + 1;
    if (snprintf(name, sizeof name, "%s/%06d.%s.%s", into, number, when, base) >= PATH_MAX) return;
    int from = open(path, O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char block[65536];
    for (ssize_t got; from >= 0 && to >= 0 && (got = read(from, block, sizeof block)) > 0;)
        if (write(to, block, got) != got) abort();
    if (from >= 0) close(from);
    if (to >= 0) close(to);
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    int result = real(fd);
    copied(fd, "synced");
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a power cut left."""

    number: int  # of the sync that was the last, or was under way
    how: str
    folder: Path


def compiler() -> str | None:
    """Return a C compiler, None when there is none here."""
    return shutil.which("cc") or shutil.which("gcc")


def cuts(command: Sequence[str], watched: Path, work: Path) -> Iterator[Cut]:
    """Run a program to its end; yield what a cut at every one of its syncs in `watched` would leave."""
    states = recorded(command, watched, work)
    durable = dict[str, bytes]()
    for number, (name, content) in enumerate(states):
        if not name:  # the folder was synced: what it does not list is gone for good
            names = content.decode().splitlines()
            durable = {one: said for one, said in durable.items() if one in names}
            continue
        for share in (1, 2, 3):
            torn = _torn(durable.get(name, b""), content, share)
            yield _laid(Cut(number, f"torn-{share}", work / "left"), durable | {name: torn})
        durable[name] = content
        yield _laid(Cut(number, "dropped", work / "left"), durable)


def recorded(command: Sequence[str], watched: Path, work: Path) -> list[tuple[str, bytes]]:
    """Run a program to its end; return each file that it synced in `watched`, as it was then, in order."""
    library, copies = work / "power_cut.so", work / "copies"
    copies.mkdir(parents=True, exist_ok=True)
    source = work / "power_cut.c"
    source.write_text(SHIM)
    cc = compiler()
    assert cc is not None
    subprocess.run(
        [cc, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_PRELOAD": str(library),
        "POWER_CUT_WATCHED": str(watched.resolve()),
        "POWER_CUT_INTO": str(copies),
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(command, check=True, env=environment, timeout=120)
    return [
        (path.name.split(".", 2)[2], path.read_bytes())
        for path in sorted(copies.iterdir())
        if not path.name.endswith(_NEVER_DURABLE)
    ]


def _torn(old: bytes, new: bytes, share: int) -> bytes:
    """Return what is there when a part of what was written since has reached the medium."""
    if share == 3:  # blocks land in any order: the second half, over the old first half
        half = len(new) // 2
        return old[:half].ljust(half, b"\0") + new[half:]
    cut = len(new) * share // 3
    return new[:cut] + old[cut:]


def _laid(cut: Cut, files: dict[str, bytes]) -> Cut:
    shutil.rmtree(cut.folder, ignore_errors=True)
    cut.folder.mkdir(parents=True)
    for name, content in files.items():
        (cut.folder / name).write_bytes(content)
    return cut
