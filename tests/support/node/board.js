'use strict';

/** Bull-board over a queue object, on a free port of 127.0.0.1; resolves with the port. */

const express = require('express');
const { createBullBoard } = require('@bull-board/api');
const { BullAdapter } = require('@bull-board/api/bullAdapter');
const { ExpressAdapter } = require('@bull-board/express');

function serve(queue) {
  const serverAdapter = new ExpressAdapter();
  createBullBoard({ queues: [new BullAdapter(queue)], serverAdapter });
  const app = express();
  app.use('/', serverAdapter.getRouter());
  return new Promise((resolve, reject) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
    server.once('error', reject);
    queue.once('close', () => server.close());
  });
}

module.exports = { serve };
