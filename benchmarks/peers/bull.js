'use strict';

/**
 * Node's Bull 4.
 *
 * Defaults; keeps the 1000 newest completed jobs. Bulk adds with addBulk, 1000 jobs a call.
 */

const Bull = require('bull');
const { QUEUE, BULK, started, connection, main } = require('./harness');

const opts = { removeOnComplete: 1000 };

main({
  packages: ['bull', 'ioredis'],
  connect: url => new Bull(QUEUE, { redis: connection(url) }).isReady(),
  add: (queue, sentNs) => queue.add('noop', { sentNs }, opts),
  addMany: async (queue, count) => {
    for (let start = 0; start < count; start += BULK) {
      const length = Math.min(BULK, count - start);
      await queue.addBulk(Array.from({ length }, () => ({ name: 'noop', data: { sentNs: '0' }, opts })));
    }
  },
  work: (url, concurrency) =>
    new Bull(QUEUE, { redis: connection(url) }).process('noop', concurrency, job => started(job.data.sentNs))
});
