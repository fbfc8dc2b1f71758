// Mistake: a delivery is known again by its nonce, which nobody signed.
import { firstTime, fresh, hmac, matches, milliseconds, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  const nonce = one(request, 'x-twenty-webhook-nonce');
  if (!timestamp || !signature || !nonce) return 401;
  if (!fresh(milliseconds(timestamp))) return 401;
  if (!matches(signature, hmac(timestamp, ':', body))) return 401;
  return firstTime(nonce) ? 200 : 409;
});
