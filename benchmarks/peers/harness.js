'use strict';

/**
 * The side of the benchmark that Node's peers share; what the commands mean is in harness.py.
 *
 * A peer is {packages, connect(url), add(queue, sentNs), addMany(queue, count), work(url, concurrency)}.
 * Its no-op job calls `started(sentNs)`. Times are process.hrtime, the clock of Python's time.monotonic_ns.
 */

const fs = require('node:fs');
const path = require('node:path');

const QUEUE = 'bench';
const IN_FLIGHT = 100;
const BULK = 1000;

const meter = { wanted: 0, number: 0, firstNs: 0n, latenciesUs: [] };

const report = values => fs.writeSync(1, `${JSON.stringify(values)}\n`);

async function started(sentNs) {
  const nowNs = process.hrtime.bigint();
  meter.number += 1;
  // As text: a double cannot hold the nanoseconds of a long uptime.
  if (sentNs !== '0') meter.latenciesUs.push(Number((nowNs - BigInt(sentNs)) / 1000n));
  if (meter.number === 1) meter.firstNs = nowNs;
  if (meter.number === meter.wanted) {
    const seconds = Number(nowNs - meter.firstNs) / 1e9;
    report({ jobs: meter.number - 1, seconds, latencies_us: meter.latenciesUs });
    process.exit(0);
  }
}

/** Connection options for ioredis. */
function connection(url) {
  if (url.startsWith('unix://')) return { path: url.slice('unix://'.length) };
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

async function add(peer, command, url, count) {
  const queue = await peer.connect(url);
  if (command === 'ping') {
    for (let i = 0; i < count; i++) {
      await peer.add(queue, String(process.hrtime.bigint()));
      await pause(30 + Math.random() * 40);
    }
    return report({ jobs: count });
  }
  const warm = Math.min(IN_FLIGHT, Math.floor(count / 2));
  await peer.addMany(queue, warm);
  const begin = process.hrtime.bigint();
  if (command === 'add') {
    await peer.addMany(queue, count - warm);
  } else {
    let left = count - warm;
    const adder = async () => {
      while (left-- > 0) await peer.add(queue, '0');
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, adder));
  }
  report({ jobs: count - warm, seconds: Number(process.hrtime.bigint() - begin) / 1e9 });
}

function versions(packages) {
  const found = { node: process.versions.node };
  for (const name of packages) {
    const folder = path.join(process.env.NODE_PATH, name, 'package.json');
    found[name] = JSON.parse(fs.readFileSync(folder, 'utf8')).version;
  }
  report(found);
}

async function main(peer) {
  const [command, url, first, second] = process.argv.slice(2);
  if (command === 'versions') return versions(peer.packages);
  if (command === 'work' || command === 'rest') {
    meter.wanted = command === 'work' ? Number(first) : 0;
    report({ ready: true });
    return peer.work(url, Number(command === 'work' ? second : first));
  }
  await add(peer, command, url, Number(first));
  process.exit(0);
}

module.exports = { QUEUE, BULK, started, connection, main };
