'use strict';

/**
 * Processors described by data, so that a test in another language can say what a job should do.
 *
 * A behaviour is one step or a list of steps, run in order; the last step's value is the job's result.
 *
 *   {do: 'return', value}              a fixed value
 *   {do: 'echo'}                       the job's data
 *   {do: 'sum'}                        the sum of the values of the job's data
 *   {do: 'fail', message}              throws Error(message)
 *   {do: 'failTimes', times, message}  throws on the first `times` attempts, then passes
 *   {do: 'discard', message}           discards the job, then throws: no more attempts
 *   {do: 'progress', values}           reports each value
 *   {do: 'log', rows}                  writes each row to the job's log
 *   {do: 'update', data}               replaces the job's data
 *   {do: 'wait'}                       until the client sends `release`; its value, or its error, is the outcome
 *   {do: 'never'}                      never ends
 *   {do: 'asTold'}                     the behaviour in the job's data, under `behaviour`
 */

const waiting = new Map();
const key = (handle, jobId) => `${handle} ${jobId}`;

const steps = {
  return: (job, step) => step.value,
  echo: job => job.data,
  sum: job => Object.values(job.data).reduce((total, value) => total + value, 0),
  fail: (job, step) => {
    throw new Error(step.message);
  },
  failTimes: (job, step) => {
    if (job.attemptsMade < step.times) throw new Error(step.message);
  },
  discard: (job, step) => {
    job.discard();
    throw new Error(step.message);
  },
  progress: async (job, step) => {
    for (const value of step.values) await job.progress(value);
  },
  log: async (job, step) => {
    for (const row of step.rows) await job.log(row);
  },
  update: (job, step) => job.update(step.data),
  wait: (job, step, handle) =>
    new Promise((resolve, reject) => waiting.set(key(handle, job.id), { resolve, reject })),
  never: () => new Promise(() => {}),
  asTold: (job, step, handle) => behave(job, job.data.behaviour, handle)
};

/** Runs `behaviour` for `job`; `handle` is the queue object that took it. */
async function behave(job, behaviour, handle) {
  let result;
  for (const step of [].concat(behaviour)) {
    if (!steps[step.do]) throw new Error(`unknown behaviour '${step.do}'; known: ${Object.keys(steps).join(', ')}`);
    result = await steps[step.do](job, step, handle);
  }
  return result;
}

/** Ends the `wait` step of a running job with a value, or with an error when `error` is a message. */
function release(handle, jobId, value, error) {
  const job = waiting.get(key(handle, jobId));
  if (!job) throw new Error(`job ${jobId} is not waiting to be released`);
  waiting.delete(key(handle, jobId));
  if (error) job.reject(new Error(error));
  else job.resolve(value);
}

module.exports = { behave, release };
