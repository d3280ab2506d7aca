"""At most two starts in a tenth of a second, over all workers; jobs over the limit keep their places.

It prints:

    [0, 1, 2, 3, 4, 5]
    took at least two windows
"""

import asyncio
import time

from toril import Queue, Worker

queue = Queue("rate-limit", limiter={"max": 2, "duration": 0.1})
starts: list[float] = []


@queue.task
async def call_api(number: int) -> int:
    starts.append(time.monotonic())
    return number


async def main() -> None:
    async with queue:
        jobs = [await call_api.enqueue(number) for number in range(6)]
        async with Worker(queue, concurrency=10):
            print([await job.result(timeout=30) for job in jobs])
    print(f"took {'at least' if starts[-1] - starts[0] >= 0.15 else 'less than'} two windows")


if __name__ == "__main__":
    asyncio.run(main())
