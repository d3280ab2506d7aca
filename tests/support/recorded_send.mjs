// Sends recorded requests one after the other, as Node programs do, and prints the answers as JSON.
//
// stdin: {base, variables: {name: text}, tokens: {person: token}, requests: [{client, as?, method, path, headers?, body?, keep?}]}
// stdout: [{status, headers, body}]; `body` is text.
// `{name}` in a path or body stands for a variable; `keep` makes variables of an answer: {"jobId": "data.jobId"}.
import http from "node:http";
import { text } from "node:stream/consumers";

const { base, variables, tokens, requests } = JSON.parse(await text(process.stdin));

// What axios 1 adds to each request of Node's http module.
const AXIOS = {
  Accept: "application/json, text/plain, */*",
  "User-Agent": "axios/1.7.9",
  "Accept-Encoding": "gzip, compress, deflate, br",
};

const filled = (given) => given.replace(/\{(\w+)\}/g, (whole, name) => variables[name] ?? whole);

function sendByAxios(method, url, headers, body) {
  const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers: { ...AXIOS, ...headers, ...length } }, async (answer) => {
      resolve({ status: answer.statusCode, headers: answer.headers, body: await text(answer) });
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function sendByFetch(method, url, headers, body) {
  const answer = await fetch(url, { method, headers, body, redirect: "manual" });
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
}

const answers = [];
for (const { client, as, method, path, headers = {}, body, keep = {} } of requests) {
  const send = client === "axios" ? sendByAxios : sendByFetch;
  const sent = body === undefined ? undefined : filled(typeof body === "string" ? body : JSON.stringify(body));
  const sign = as === undefined ? {} : { Authorization: `Bearer ${tokens[as]}` };
  const answer = await send(method, base + filled(path), { ...sign, ...headers }, sent);
  answers.push(answer);
  for (const [name, where] of Object.entries(keep)) {
    variables[name] = where.split(".").reduce((value, key) => value?.[key], JSON.parse(answer.body));
  }
}
process.stdout.write(JSON.stringify(answers));
