'use strict';

/**
 * Drives Bull over JSON lines: requests on stdin, replies and events on stdout, one object a line.
 *
 *   {id, call: 'open', queue, args: [name, options]}       a queue object, called `queue` from then on
 *   {id, call: 'process', queue, args: [name, concurrency, behaviour]}      see behaviours.js
 *   {id, call: 'release', queue, args: [jobId, value, error]}
 *   {id, call: 'on', queue, args: [event]}                 replies once subscribed; then events follow
 *   {id, call: 'board', queue}                             bull-board over the queue; replies with its port
 *   {id, call: METHOD, queue, args}                        a method of the queue object
 *   {id, call: METHOD, queue, job: jobId, args}            a method of the job object
 *
 * Replies: {id, result} or {id, error: message}. Events: {event, queue, args}. Jobs travel as Bull's own
 * `toJSON`, with `retriedOn`. Three events need no subscription: `processing` [job] when a processor
 * starts, `error` [message], and `closed` []. The process ends when stdin does, after closing its queues.
 */

const readline = require('node:readline');
const Bull = require('bull');
const { isRedisReady } = require('bull/lib/utils');
const { behave, release } = require('./behaviours');

const queues = new Map();

// Closing a queue ends connections on which Bull still waits; nobody awaits those promises, and Node would
// end with the first of them.
process.on('unhandledRejection', error => {
  if (!(error instanceof Error && error.message.startsWith('Connection is closed'))) throw error;
});

const send = message => process.stdout.write(`${JSON.stringify(message)}\n`);

/** A job, an error or a list of them as JSON; other values as they are. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Error) return value.message;
  if (value && value.queue && typeof value.toJSON === 'function') {
    return { ...value.toJSON(), retriedOn: value.retriedOn || null };
  }
  return value;
}

function requireQueue(handle) {
  const queue = queues.get(handle);
  if (!queue) throw new Error(`no open queue '${handle}'`);
  return queue;
}

/** Named backoff strategies arrive as {name: [delay, …]}: the delay per attempt, the last one repeated. */
function strategies(tables) {
  const made = {};
  for (const [name, delays] of Object.entries(tables)) {
    made[name] = attemptsMade => delays[Math.min(attemptsMade, delays.length) - 1];
  }
  return made;
}

async function open(handle, name, options) {
  if (queues.has(handle)) throw new Error(`queue '${handle}' is open already`);
  const settings = { ...options.settings };
  if (settings.backoffStrategies) settings.backoffStrategies = strategies(settings.backoffStrategies);
  const queue = new Bull(name, { ...options, settings });
  queues.set(handle, queue);
  queue.on('error', error => send({ event: 'error', queue: handle, args: [plain(error)] }));
  queue.once('close', () => send({ event: 'closed', queue: handle, args: [] }));
  await queue.isReady();
}

async function startProcessor(handle, name, concurrency, behaviour) {
  const queue = requireQueue(handle);
  const running = queue.process(name, concurrency, job => {
    send({ event: 'processing', queue: handle, args: [plain(job)] });
    return behave(job, behaviour, handle);
  });
  // `running` settles only when the queue closes or could not start, so wait for whichever comes first.
  running.catch(() => {});
  const ready = queue._initProcess().then(() => isRedisReady(queue.bclient));
  await Promise.race([ready, running]);
}

async function listen(handle, event) {
  const queue = requireQueue(handle);
  await queue._registerEvent(event); // `on` alone does not tell when the subscription stands
  queue.on(event, (...args) => send({ event, queue: handle, args: args.map(plain) }));
}

async function callJob(queue, jobId, method, args) {
  const job = await queue.getJob(jobId);
  if (!job) throw new Error(`no job '${jobId}' in queue '${queue.name}'`);
  if (typeof job[method] !== 'function') throw new Error(`a Bull job has no method '${method}'`);
  return job[method](...args);
}

// Loaded when first wanted: it takes longer than all the rest.
const board = handle => require('./board').serve(requireQueue(handle));

const commands = { open, process: startProcessor, release, on: listen, board };

async function run({ call, queue: handle, job, args = [] }) {
  if (job !== undefined) return callJob(requireQueue(handle), job, call, args);
  if (commands[call]) return commands[call](handle, ...args);
  const queue = requireQueue(handle);
  if (typeof queue[call] !== 'function') throw new Error(`a Bull queue has no method '${call}'`);
  const result = await queue[call](...args);
  if (call === 'close') queues.delete(handle);
  return result === queue ? null : result;
}

async function answer(line) {
  const request = JSON.parse(line);
  try {
    send({ id: request.id, result: plain(await run(request)) ?? null });
  } catch (error) {
    send({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', answer);
lines.once('close', async () => {
  // Jobs that never end must not keep the process alive: do not wait for them.
  await Promise.allSettled([...queues.values()].map(queue => queue.close(true)));
  process.exit(0);
});
