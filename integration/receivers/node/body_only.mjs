// Mistake: the signature is taken to be over the body alone, as GitHub's is.
import { firstTime, fresh, hmac, matches, milliseconds, one, serve } from './receiver.mjs';

serve((request, body) => {
  const timestamp = one(request, 'x-twenty-webhook-timestamp');
  const signature = one(request, 'x-twenty-webhook-signature');
  if (!timestamp || !signature) return 401;
  if (!fresh(milliseconds(timestamp))) return 401;
  if (!matches(signature, hmac(body))) return 401;
  return firstTime(signature) ? 200 : 409;
});
