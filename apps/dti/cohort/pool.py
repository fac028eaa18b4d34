"""Subjects one after another, on several processes, or on a cluster; a worker that is killed costs no subject."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool

from mvnet.apps.common.errors import USER_ERROR, one_line
from mvnet.apps.dti.cohort.subject import FAILED, Outcome, Task, denoise_subject

_ATTEMPTS = 3  # of a subject whose process was killed


Work = Callable[[Task], Outcome]


def run_tasks(
    tasks: Sequence[Task], jobs: int, scheduler: str | None, work: Work = denoise_subject
) -> Iterator[Outcome]:
    """The outcome of every task as it is known.

    Args:
        tasks: one for every subject.
        jobs: processes on this machine.
        scheduler: address of a cluster that does the work instead.
        work: what is done with a task.
    """
    if scheduler is not None:
        from mvnet.apps.common.cluster import cluster

        with cluster(scheduler) as (executor, _):
            yield from _on(executor, tasks, work)
    elif jobs > 1:
        yield from _on_processes(tasks, jobs, work)
    else:
        yield from map(work, tasks)


def _on(executor: Executor, tasks: Sequence[Task], work: Work) -> Iterator[Outcome]:
    """On the workers of a cluster, which gives a task to another worker when one is gone."""
    futures = {executor.submit(work, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            yield _outcome(future, futures[future])
    finally:
        for future in futures:
            future.cancel()


def _on_processes(tasks: Sequence[Task], jobs: int, work: Work) -> Iterator[Outcome]:
    """On processes of this machine. Where one is killed, what was being done is done again, one subject at a time."""
    waiting = deque(tasks)
    while waiting:
        for task in (yield from _round(waiting, jobs, work)):
            for _ in range(_ATTEMPTS - 1):
                if not (yield from _round(deque([task]), 1, work)):
                    break
            else:
                text = f"its process was killed {_ATTEMPTS} times, expected enough memory for it"
                yield Outcome(task.subject.label, FAILED, USER_ERROR, text)


def _round(waiting: deque[Task], jobs: int, work: Work) -> Generator[Outcome, None, list[Task]]:
    """A pool of processes until nothing is waiting, or one of them is killed; returns what was being done then."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(min(jobs, len(waiting)), context, _set_threads, (threads,))
    flying: dict[Future[Outcome], Task] = {}
    lost: list[Task] = []
    try:
        while (waiting and not lost) or flying:
            while waiting and not lost and len(flying) < jobs:
                future = pool.submit(work, waiting[0])
                flying[future] = waiting.popleft()
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                task = flying.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(task)
                else:
                    yield _outcome(future, task)
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


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    text = f"its worker died ({type(error).__name__}: {one_line(error)}), expected enough memory for it"
    return Outcome(task.subject.label, FAILED, USER_ERROR, text)


def _set_threads(threads: int) -> None:
    """Before torch and numpy are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
