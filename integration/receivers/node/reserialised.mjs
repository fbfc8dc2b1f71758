// Mistake: the body is parsed first, and what is verified is JSON.stringify of
// that, as where a framework leaves nothing but request.body.
import { firstTime, fresh, hmac, matches, milliseconds, one, serve } from './receiver.mjs';

serve((request, raw) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || !signature) return 401;
  if (!fresh(milliseconds(timestamp))) return 401;
  let body;
  try {
    body = JSON.parse(raw);
  } catch {
    return 400;
  }
  if (!matches(signature, hmac(timestamp, ':', JSON.stringify(body)))) return 401;
  return firstTime(signature) ? 200 : 409;
});
