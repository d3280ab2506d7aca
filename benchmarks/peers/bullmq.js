'use strict';

/**
 * Node's BullMQ.
 *
 * Defaults; keeps the 1000 newest completed jobs. Bulk adds with addBulk, 1000 jobs a call.
 */

const { Queue, Worker } = require('bullmq');
const { QUEUE, BULK, started, connection, main } = require('./harness');

const opts = { removeOnComplete: { count: 1000 } };
const blocking = url => ({ ...connection(url), maxRetriesPerRequest: null });

main({
  packages: ['bullmq', 'ioredis'],
  connect: url => new Queue(QUEUE, { connection: connection(url) }),
  add: (queue, sentNs) => queue.add('noop', { sentNs }, opts),
  addMany: async (queue, count) => {
    for (let start = 0; start < count; start += BULK) {
      const length = Math.min(BULK, count - start);
      await queue.addBulk(Array.from({ length }, () => ({ name: 'noop', data: { sentNs: '0' }, opts })));
    }
  },
  work: (url, concurrency) =>
    new Worker(QUEUE, job => started(job.data.sentNs), { connection: blocking(url), concurrency })
});
