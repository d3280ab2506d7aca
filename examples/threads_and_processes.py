"""Where work runs: a coroutine on the loop, a plain function in a thread, heavy work in a process that can be killed.

It prints:

    [True, True, True]
    Job timed out after 1000 milliseconds and was stopped
"""

import asyncio
import os
import threading

from toril import JobFailedError, Queue, Worker

queue = Queue("where")


@queue.task
async def on_the_loop() -> bool:
    return threading.current_thread() is threading.main_thread()


@queue.task
def in_a_thread() -> bool:
    return threading.current_thread() is not threading.main_thread()


@queue.task(process=True)
def in_a_process(parent: int) -> bool:
    return os.getpid() != parent


@queue.task(process=True, timeout=1)
def for_ever() -> None:
    while True:
        pass


async def main() -> None:
    async with queue, Worker(queue, concurrency=4):
        jobs = [
            await on_the_loop.enqueue(),
            await in_a_thread.enqueue(),
            await in_a_process.enqueue(os.getpid()),
        ]
        print([await job.result(timeout=60) for job in jobs])
        stuck = await for_ever.enqueue()
        try:
            await stuck.result(timeout=60)
        except JobFailedError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
