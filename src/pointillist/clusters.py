"""Workers: processes of this machine, or those of a Dask cluster that exists already."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pointillist.errors import PointillistError, reason

_DEATHS = 3  # of workers, for which one task may be to blame


@contextmanager
def cluster(workers: int, address: str | None) -> Iterator[Any]:
    """Yield a Dask client: of the cluster at `address`, or of processes on this machine alone.

    Raises
    ------
    PointillistError
        If Dask isn't installed or the cluster doesn't answer.
    """
    try:
        import dask
        import distributed  # noqa: F401 - whether it is there
    except ImportError:
        raise PointillistError(
            "Workers need dask.distributed, the extra sweep: pip install --constraint "
            "requirements.lock --editable '.[sweep]'"
        ) from None
    # What goes wrong is said by errors; each of its loggers has a level of its own.
    for name in [
        name for name in logging.root.manager.loggerDict if name.startswith("distributed")
    ]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    quiet = {
        "distributed.worker.daemon": True,
        # A worker sets up its loggers as it is imported: too early for anything but its environment.
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    }
    with (
        dask.config.set(quiet | {"distributed.scheduler.allowed-failures": _DEATHS}),
        _local(workers) if address is None else _client(address) as client,
    ):
        yield client


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    """Yield a client of processes of one thread each; nothing listens to other machines."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # None would have it listen on every interface.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env=_environment(),
        ) as local,
        Client(local, timeout=60) as client,
    ):
        client.register_plugin(_deaf())
        yield client


def _client(address: str) -> Any:
    """Return a client of the scheduler at `address`. Raises PointillistError if there is none."""
    from distributed import Client

    try:
        return Client(address, timeout=10)
    except (ValueError, TypeError) as error:
        raise PointillistError(
            f"{address!r} is no address of a Dask scheduler, as in tcp://127.0.0.1:8786: "
            f"{reason(error)}"
        ) from None
    except OSError as error:
        raise PointillistError(f"No Dask scheduler answers at {address}: {reason(error)}") from None


def _deaf() -> Any:
    """Return what has workers leave Ctrl-C, which all processes of a terminal get, to the driver."""
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):
        def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


def able(client: Any, resources: Mapping[str, float]) -> int:
    """Return how many workers of the cluster have `resources` at all, however busy they are.

    Raises
    ------
    OSError
        If the cluster's scheduler is gone.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(
        all(worker["resources"].get(name, 0) >= amount for name, amount in resources.items())
        for worker in workers
    )


def require_able(client: Any, resources: Mapping[str, float]) -> None:
    """Make sure that work that takes `resources` isn't waiting for a worker that can't come.

    A cluster without any worker passes: its workers may be on their way.

    Raises
    ------
    PointillistError
        If there are workers, and none has them.
    """
    if resources and able(client, {}) and not able(client, resources):
        wanted = " ".join(f"{name}={amount:g}" for name, amount in resources.items())
        raise PointillistError(
            f"None of the cluster's {able(client, {})} workers has {wanted}. Start some with: "
            f'dask worker ADDRESS --nthreads 1 --resources "{wanted}"'
        )


def _environment() -> dict[str, str]:
    """Return what workers must know: one thread each, or they would stall each other."""
    return {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **os.environ}
