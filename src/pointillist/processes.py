"""Which process something belongs to, and whether it is still there."""

from __future__ import annotations

import os
import socket


def host() -> str:
    """Return the name of this machine, as it can stand in the name of a file."""
    return socket.gethostname().replace("/", "_")


def is_there(on: str, pid: str) -> bool:
    """Return whether `pid` is known to be another process of this machine `on`."""
    return on == host() and pid.isdigit() and int(pid) != os.getpid() and not is_over(on, int(pid))


def is_over(on: str, pid: int) -> bool:
    """Return whether process `pid` of the machine `on` is known to be no more."""
    if on != host():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
