from __future__ import annotations

import asyncio
import os
import time

import pytest

from migmodel.qemu.consoles import Console


@pytest.fixture
def pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, write


def test_lines_are_put_together_and_never_early(pipe: tuple[int, int]) -> None:
    read, write = pipe
    seen: list[tuple[float, str]] = []
    wrote: list[float] = []

    async def talk() -> None:
        console = Console(read, lambda at, line: seen.append((at, line)))
        for text in (b"one\r\ntw", b"o\n\nthree\n", b"torn"):
            wrote.append(time.monotonic())
            os.write(write, text)
            await asyncio.sleep(0.05)
        console.close()

    asyncio.run(talk())
    os.close(read)
    os.close(write)
    assert [line for _, line in seen] == ["one", "two", "three", "torn"]
    times = [at for at, _ in seen]
    assert times == sorted(times)
    # "two" began with the first write, "three" with the second.
    for at, began in zip(times, (wrote[0], wrote[0], wrote[1], wrote[2]), strict=True):
        assert at >= began


def test_the_end_of_the_stream_is_no_busy_loop(pipe: tuple[int, int]) -> None:
    read, write = pipe

    async def listen() -> float:
        console = Console(read, lambda _at, _line: None)
        os.close(write)
        before = time.process_time()
        await asyncio.sleep(0.2)
        used = time.process_time() - before
        console.close()
        return used

    assert asyncio.run(listen()) < 0.15
    os.close(read)
