"""Which process something belongs to, and whether it still runs.

A process is known by its host, its id and the second in which it started: ids are given again.
"""

from __future__ import annotations

import os
import socket

import psutil

_TOLERANCE = 2  # seconds by which a system's clock may have been set since


def host() -> str:
    """Return the name of this machine, as it can stand in the name of a file."""
    return socket.gethostname().replace("/", "_")


def this() -> str:
    """Return what tells this process from others of its host: ID.START."""
    return f"{os.getpid()}.{int(psutil.Process().create_time())}"


def is_there(on: str, process: str) -> bool:
    """Return whether `process` is known to be another that runs on this machine `on`."""
    pid = process.partition(".")[0]
    ours = on == host() and pid.isdigit() and int(pid) != os.getpid()
    return ours and not is_over(on, process)


def is_over(on: str, process: str) -> bool:
    """Return whether `process` of the machine `on` has ended: ID.START, or ID as 0.1.0 wrote it."""
    pid, _, started = process.partition(".")
    if on != host() or not pid.isdigit():
        return False
    try:
        begun = psutil.Process(int(pid)).create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return started.isdigit() and abs(begun - int(started)) > _TOLERANCE
