// Posts webhook deliveries as Twenty does: axios, a signature over the
// timestamp, a colon and the JSON text, 5 s of patience, 20 at once.
//
// The job comes on standard input: {url, secret, raw, repeat, tell}. With raw,
// bodies that no JSON.stringify gives are posted, too. One JSON object per delivery
// is printed: {name, status, error, sha256, bytes, raw}, and with tell the body.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import axios from 'axios';
import { payloads, rawBodies } from './payloads.mjs';

const atOnce = 20;
const job = JSON.parse(await text(process.stdin));

function sign(body, timestamp) {
  return createHmac('sha256', job.secret).update(`${timestamp}:${body}`).digest('hex');
}

async function deliver({ name, payload, body }) {
  const raw = body !== undefined;
  const json = raw ? body : JSON.stringify(payload);
  const timestamp = Date.now().toString();
  const headers = {
    'Content-Type': 'application/json',
    'X-Twenty-Webhook-Timestamp': timestamp,
    'X-Twenty-Webhook-Signature': sign(json, timestamp),
    'X-Twenty-Webhook-Nonce': randomBytes(16).toString('hex'),
  };
  const result = {
    name, raw, status: 0, error: '',
    sha256: createHash('sha256').update(json).digest('hex'),
    bytes: Buffer.byteLength(json),
    body: job.tell ? json : undefined,
  };
  try {
    // axios itself makes the JSON text of a payload, as it does in Twenty.
    const options = { headers, timeout: 5_000, proxy: false };
    if (raw) options.transformRequest = [(data) => data];
    const response = await axios.post(job.url, raw ? json : payload, options);
    result.status = response.status;
  } catch (error) {
    result.status = error.response?.status ?? 0;
    result.error = String(error.code ?? error.message);
  }
  return result;
}

const deliveries = [];
for (let round = 0; round < (job.repeat ?? 1); round++) {
  // The round makes each body another one, as the events of an import are.
  const eventDate = new Date(Date.UTC(2026, 0, 2) + round).toISOString();
  for (const [name, payload] of Object.entries(payloads)) {
    deliveries.push({ name, payload: { ...payload, eventDate } });
  }
}
if (job.raw) {
  for (const [name, body] of Object.entries(rawBodies)) deliveries.push({ name, body });
}

const next = deliveries.values();
await Promise.all(Array.from({ length: atOnce }, async () => {
  for (const delivery of next) process.stdout.write(JSON.stringify(await deliver(delivery)) + '\n');
}));
