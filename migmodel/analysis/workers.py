"""Worker processes: started whole, and gone when whoever wants them is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any


def worker_pool(
    jobs: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """Make a pool of processes that end with this one.

    Parameters
    ----------
    jobs : int
        Processes.
    initializer : callable
        Called with the arguments in each of them, at its start.
    """
    return ProcessPoolExecutor(
        jobs,
        # A forked child of a process with threads (a progress bar has one) can hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(initializer, arguments),
    )


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done: a pool half started cannot be ended.

    Processes that are started in it never see one: they inherit the mask. The mask
    alone is not enough: another thread (numpy has some) may take the signal, and
    Python then runs the handler in the main thread all the same.
    """
    in_main = threading.current_thread() is threading.main_thread()
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        if in_main:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _begin(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # The worker ends when its parent is gone.
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
