"""A dask.distributed cluster as the executor that tiles, or subjects, are computed by."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from mvnet.apps.common.errors import UserError

_PATIENCE = 30  # seconds for a cluster to answer


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """The cluster of a scheduler, and its number of threads.

    Raises:
        UserError: no scheduler or no worker answers, or workers die over a tile.
    """
    from distributed import KilledWorker

    with _connected(address) as client:
        try:
            yield client.get_executor(pure=False), sum(client.nthreads().values())
        except KilledWorker as error:
            raise UserError(
                f"--scheduler: found workers that died over a tile ({error}), expected enough memory"
            ) from error


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from dask import config
    from distributed import Client

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler: found no dask scheduler at {address} ({error}), expected one") from error
    silent = {"distributed.admin.large-graph-warning-threshold": "1GB"}  # a tile goes with its task, so as to survive
    with config.set(silent), client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise UserError(f"--scheduler: found no worker at {address}, expected at least one") from error
        yield client
