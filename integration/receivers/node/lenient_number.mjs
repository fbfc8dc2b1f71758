// Mistake: parseInt reads the digits that a text begins with, and no more.
import { firstTime, fresh, hmac, matches, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || !signature) return 401;
  if (!fresh(parseInt(timestamp, 10))) return 401;
  if (!matches(signature, hmac(timestamp, ':', body))) return 401;
  return firstTime(signature) ? 200 : 409;
});
