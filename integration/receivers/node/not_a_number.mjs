// Mistake: a timestamp that is no number is neither too old nor too new.
import { firstTime, hmac, matches, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || !signature) return 401;
  if (Math.abs(Date.now() - Number(timestamp)) > 5 * 60 * 1000) return 401;
  if (!matches(signature, hmac(timestamp, ':', body))) return 401;
  return firstTime(signature) ? 200 : 409;
});
