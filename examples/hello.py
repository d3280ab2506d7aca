"""A task is enqueued, a worker in the same process runs it, and its result is awaited: python examples/hello.py

It prints:

    Hello, Ada!
"""

import asyncio

from toril import Queue, Worker

queue = Queue("hello")  # REDIS_URL, else a server of its own that starts by itself


@queue.task
async def greet(name: str) -> str:
    return f"Hello, {name}!"


async def main() -> None:
    async with queue, Worker(queue):
        job = await greet.enqueue("Ada")
        print(await job.result(timeout=30))


if __name__ == "__main__":
    asyncio.run(main())
