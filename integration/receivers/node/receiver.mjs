// What the receivers here have in common: everything around the check itself.
// Each file beside this one is a receiver with one mistake in its check, which
// its first lines name; correct.mjs has none.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

export const secret = process.env.SECRET;
const limit = 20 * 1024 * 1024;

// one returns the value of a header that stands there exactly once.
export function one(request, name) {
  const values = request.headersDistinct[name] ?? [];
  return values.length === 1 ? values[0] : undefined;
}

export function hmac(...parts) {
  const mac = createHmac('sha256', secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

// matches compares a signature in hex with the one it should be.
export function matches(signature, expected) {
  return /^[0-9a-f]{64}$/.test(signature ?? '') && timingSafeEqual(Buffer.from(signature, 'hex'), expected);
}

// milliseconds reads a timestamp, strictly.
export function milliseconds(text) {
  return /^(0|[1-9][0-9]{0,15})$/.test(text ?? '') ? Number(text) : NaN;
}

export function fresh(time) {
  return Math.abs(Date.now() - time) <= 5 * 60 * 1000;
}

// firstTime remembers keys, and says whether this one is new.
const seen = new Map();
export function firstTime(key) {
  const now = Date.now();
  for (const [old, until] of seen) {
    if (until > now) break;
    seen.delete(old);
  }
  if (seen.has(key)) return false;
  seen.set(key, now + 11 * 60 * 1000);
  return true;
}

// serve answers each delivery with the status that the check returns.
export function serve(check) {
  const server = createServer((request, response) => {
    const answer = (status) => {
      if (response.headersSent) return;
      response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}');
    };
    if (request.method !== 'POST') return answer(405);
    if (request.headers['content-encoding']) return answer(415);
    if (Number(request.headers['content-length']) > limit) return answer(413);
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const status = check(request, body);
      if (status !== 200) return answer(status);
      try {
        const event = JSON.parse(body);
        answer(event.eventName ? 200 : 400); // here the receiver would do its work
      } catch {
        answer(400);
      }
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
}
