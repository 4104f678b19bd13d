"""Disks that are full, and clocks that jump."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg2

from chaos.box import Box
from chaos.postgres import give

SMALL = "size=160m"
"""A file system that the files of a database just fit in."""
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* Adds the seconds that the file named by CHAOS_CLOCK holds, as a long, to the time of day. */
static volatile long *offset;
__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("CHAOS_CLOCK");
    int file = name ? open(name, O_RDONLY) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    offset = found == MAP_FAILED ? 0 : found;
    if (file >= 0) close(file);
}
int gettimeofday(struct timeval *now, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
    int done = real(now, zone);
    if (offset) now->tv_sec += *offset;
    return done;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, now);
    if (offset && clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return done;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""
JUMPS = (3600, -7200, 36_000, -1, 30, -36_000, 600, 0)
"""Seconds. Never a day from one end to the other: keys are forgotten after one, and then a request is a new one."""


def cannot_mount() -> str | None:
    """Why no small file system can be made here, if so."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "only root may mount a small file system"
    place = Path("/tmp") / f"chaos-mount-{os.getpid()}"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "chaos", place], check=False, capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", place], check=True)
    place.rmdir()
    return None if done.returncode == 0 else "a small file system cannot be mounted here"


def cannot_compile() -> str | None:
    """Why no false clock can be made here, if so."""
    return None if shutil.which("cc") else "there is no C compiler for the false clock"


def on_small_disk(box: Box, files: Path) -> None:
    """Move some files of the server, which does not run, to a small file system."""
    place = box.directory / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "chaos", place], check=True)
    box.cleanup.append(lambda: subprocess.run(["umount", "-l", place], check=False))
    give(place)
    shutil.move(files, place / files.name)
    for path in [place / files.name, *(place / files.name).rglob("*")]:
        give(path)
    files.symlink_to(place / files.name)


def data_on_small_disk(box: Box) -> None:
    """Have the tables where there is little room."""
    on_small_disk(box, box.server.directory / "base")


def log_on_small_disk(box: Box) -> None:
    """Have the write-ahead log where there is little room."""
    on_small_disk(box, box.server.directory / "pg_wal")
    box.need_room = lambda: use_up_log(box)


def use_up_log(box: Box) -> None:
    """Begin another file of the log, again and again: those that are there already are used up then."""
    with suppress(psycopg2.Error):
        for _ in range(4):
            box.server.ask("SELECT pg_switch_wal()")
            box.server.ask("SELECT txid_current()")


def fill_disk(box: Box, times: int) -> None:
    """Fill it to the last byte for some seconds; a server that stops for that is started again when there is room."""
    filler = box.directory / "small" / "filler"
    for _ in range(times):
        time.sleep(1)
        with box.journal.away():
            with suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(1024 * 1024))
            for _ in range(6):
                box.need_room()
                time.sleep(1)
            filler.unlink()
            if not box.server.accepts():
                box.counts["servers stopped by it"] += 1
                box.server.kill()
                box.server.start()
            box.become_ready()
        time.sleep(2)
        box.counts["disks filled"] += 1


def false_clock(box: Box) -> None:
    """Have the database, the service and the sealer live by a clock of ours."""
    source, library, clock = (box.directory / f"clock.{ending}" for ending in ("c", "so", "offset"))
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    set_clock(clock, 0)
    false = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(clock)}
    box.environ |= false
    box.server.environ |= false


def set_clock(file: Path, seconds: int) -> None:
    """Let it be so much later."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(seconds.to_bytes(8, "little", signed=True))


def jump(box: Box, times: int) -> None:
    """Set the clock forward and back, by seconds and by days; time-outs of the database may fire early for that."""
    with box.journal.away():
        for number in range(times):
            set_clock(box.directory / "clock.offset", JUMPS[number % len(JUMPS)])
            time.sleep(0.5)
            box.counts["clock jumps"] += 1
        set_clock(box.directory / "clock.offset", 0)
        box.become_ready()
