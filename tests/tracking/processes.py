"""Processes that open one store at the same time."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from eig_tune.tracking import open_store


def open_at_once(uri: str, names: Sequence[str], home: Path) -> list[str]:
    """Open a store in one process per experiment name, all at once.

    Returns:
        The names of the experiments that were opened, or the errors, sorted.
    """
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(len(names)), fork.Queue()
    processes = [fork.Process(target=_open, args=(uri, name, home, barrier, results)) for name in names]
    for process in processes:
        process.start()
    opened = sorted(results.get(timeout=120) for _ in names)
    for process in processes:
        process.join()
    return opened


def _open(uri: str, name: str, home: Path, barrier: Barrier, results: "Queue[str]") -> None:
    barrier.wait()
    try:
        results.put(open_store(uri, name, home).name)
    except BaseException as error:
        results.put(repr(error))
