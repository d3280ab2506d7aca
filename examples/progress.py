"""A long job tells how far it is, keeps a log, and is cancelled by somebody who has seen enough.

It prints:

    50 rows
    cancelled
"""

import asyncio

from toril import JobFailedError, Queue, Worker, current_job

queue = Queue("progress")


@queue.task
async def export(rows: int) -> int:
    job = current_job()
    for number in range(0, rows + 1, 10):
        await job.update_progress(100 * number // rows)
        await job.log(f"{number} rows written")
        await asyncio.sleep(0.01)
    return rows


async def main() -> None:
    async with queue, Worker(queue):
        short = await export.enqueue(50)
        print(await short.result(timeout=30), "rows")

        endless = await export.enqueue(10_000_000)
        async for event in queue.events():
            if event.name == "progress" and event.job_id == endless.id:
                break
        await endless.cancel()
        try:
            await endless.result(timeout=30)
        except JobFailedError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
