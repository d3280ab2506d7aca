"""A job every night at two in Riyadh, and one every fifth of a second until it has run three times.

It prints:

    [7, 7, 7]
    nightly 0 2 * * * Asia/Riyadh
"""

import asyncio

from toril import Queue, Repeat, Worker

queue = Queue("schedules")
runs: asyncio.Queue[int] = asyncio.Queue()


@queue.process("poll")
async def poll(job) -> None:
    runs.put_nowait(job.data["number"])


async def main() -> None:
    async with queue:
        await queue.add("nightly", {}, repeat=Repeat(cron="0 2 * * *", tz="Asia/Riyadh"))
        await queue.add("poll", {"number": 7}, repeat=Repeat(every=0.2, limit=3))
        async with Worker(queue):
            print([await runs.get() for _ in range(3)])
        for schedule in await queue.schedules():
            if schedule.cron:
                print(schedule.name, schedule.cron, schedule.tz)
            await queue.remove_schedule(schedule.key)


if __name__ == "__main__":
    asyncio.run(main())
