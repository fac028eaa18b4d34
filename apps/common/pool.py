"""Tasks one after another, on several processes, or on a cluster; a worker that is killed costs no task but its own."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, TypeVar

from mvnet.apps.common.errors import one_line

_ATTEMPTS = 3  # of a task whose process was killed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Work(Generic[T, R]):
    """What is done with a task, and the outcome of one whose worker did not live to tell; both can be pickled."""

    do: Callable[[T], R]
    lost: Callable[[T, str], R]


def run_tasks(tasks: Sequence[T], jobs: int, scheduler: str | None, work: Work[T, R]) -> Iterator[R]:
    """The outcome of every task as it is known.

    Args:
        tasks: what is to be done.
        jobs: processes on this machine.
        scheduler: address of a cluster that does the work instead.
        work: what is done with a task; it raises nothing.
    """
    if scheduler is not None:
        from mvnet.apps.common.cluster import cluster

        with cluster(scheduler) as (executor, _):
            yield from _on(executor, tasks, work)
    elif jobs > 1:
        yield from _on_processes(tasks, jobs, work)
    else:
        yield from map(work.do, tasks)


def _on(executor: Executor, tasks: Sequence[T], work: Work[T, R]) -> Iterator[R]:
    """On the workers of a cluster, which gives a task to another worker when one is gone."""
    futures = {executor.submit(work.do, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            yield _outcome(future, futures[future], work)
    finally:
        for future in futures:
            future.cancel()


def _on_processes(tasks: Sequence[T], jobs: int, work: Work[T, R]) -> Iterator[R]:
    """On processes of this machine. Where one is killed, what was being done is done again, one task at a time."""
    waiting = deque(tasks)
    while waiting:
        for task in (yield from _round(waiting, jobs, work)):
            for _ in range(_ATTEMPTS - 1):
                if not (yield from _round(deque([task]), 1, work)):
                    break
            else:
                text = f"its process was killed {_ATTEMPTS} times, expected enough memory for it"
                yield work.lost(task, text)


def _round(waiting: deque[T], jobs: int, work: Work[T, R]) -> Generator[R, None, list[T]]:
    """A pool of processes until nothing is waiting, or one of them is killed; returns what was being done then."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(min(jobs, len(waiting)), context, _set_threads, (threads,))
    flying: dict[Future[R], T] = {}
    lost: list[T] = []
    try:
        while (waiting and not lost) or flying:
            while waiting and not lost and len(flying) < jobs:
                future = pool.submit(work.do, waiting[0])
                flying[future] = waiting.popleft()
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                task = flying.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(task)
                else:
                    yield _outcome(future, task, work)
    except BrokenProcessPool:  # noticed while handing out work
        lost += flying.values()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
            process.join()
        raise
    pool.shutdown()
    return lost


def _outcome(future: Future[R], task: T, work: Work[T, R]) -> R:
    error = future.exception()
    if error is None:
        return future.result()
    text = f"its worker died ({type(error).__name__}: {one_line(error)}), expected enough memory for it"
    return work.lost(task, text)


def _set_threads(threads: int) -> None:
    """Before torch and numpy are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
