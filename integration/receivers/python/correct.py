"""A receiver without a mistake."""
from receiver import first_time, fresh, matches, milliseconds, one, serve, sign


def check(headers, body):
    timestamp = one(headers, "X-Twenty-Webhook-Timestamp")
    signature = one(headers, "X-Twenty-Webhook-Signature")
    if not timestamp or not signature:
        return 401
    if not fresh(milliseconds(timestamp)):
        return 401
    if not matches(signature, sign(timestamp, body)):
        return 401
    return 200 if first_time(signature) else 409


serve(check)
