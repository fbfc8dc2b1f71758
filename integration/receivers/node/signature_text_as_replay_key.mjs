// Mistake: Buffer.from reads hex of either case, and the text that is remembered
// has two.
import { timingSafeEqual } from 'node:crypto';
import { firstTime, fresh, hmac, milliseconds, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || signature?.length !== 64) return 401;
  if (!fresh(milliseconds(timestamp))) return 401;
  const given = Buffer.from(signature, 'hex');
  const expected = hmac(timestamp, ':', body);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return 401;
  return firstTime(signature) ? 200 : 409;
});
