"""A service that is away at first: attempts with backoff, "later" without an attempt, and an error that ends a job.

The function may run twice for one job, so it asks whether the work was done before it does it.

It prints:

    charged after 1 failed attempt
    invoice 4471 has the amount 0
"""

import asyncio

from toril import Backoff, JobFailedError, PostponedError, Queue, UnrecoverableError, Worker, current_job

queue = Queue("retries")
calls: list[str] = []
charged: set[str] = set()


@queue.task(attempts=5, backoff=Backoff.exponential(0.05, jitter=0.5))
async def charge(invoice: str, amount: int) -> str:
    calls.append(invoice)
    if amount <= 0:
        raise UnrecoverableError(f"invoice {invoice} has the amount {amount}")  # no attempt can help
    if invoice in charged:
        return "was charged before"
    if len(calls) == 1:
        raise ConnectionError("the gateway is away")  # costs an attempt
    if len(calls) == 2:
        raise PostponedError("the gateway says: later", retry_after=0.05)  # costs none
    charged.add(invoice)
    return f"charged after {current_job().attempts_made} failed attempt"


async def main() -> None:
    async with queue, Worker(queue):
        good = await charge.enqueue("4470", 115)
        print(await good.result(timeout=30))
        bad = await charge.enqueue("4471", 0)
        try:
            await bad.result(timeout=30)
        except JobFailedError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
