// A receiver without a mistake.
import { firstTime, fresh, hmac, matches, milliseconds, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || !signature) return 401;
  if (!fresh(milliseconds(timestamp))) return 401;
  if (!matches(signature, hmac(timestamp, ':', body))) return 401;
  return firstTime(signature) ? 200 : 409;
});
