"""What the receivers here have in common: everything around the check itself.

Each file beside this one is a receiver with one mistake in its check, which its
docstring names; correct.py has none.
"""
import hashlib
import hmac
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("SECRET", "")
LIMIT = 20 * 1024 * 1024
WINDOW = 5 * 60 * 1000


def one(headers, name):
    """The value of a header that stands there exactly once."""
    values = headers.get_all(name, [])
    return values[0] if len(values) == 1 else None


def sign(timestamp, body):
    return hmac.new(SECRET.encode(), timestamp.encode("latin-1") + b":" + body, hashlib.sha256).hexdigest()


def matches(signature, expected):
    return re.fullmatch("[0-9a-f]{64}", signature) and hmac.compare_digest(signature, expected)


def milliseconds(text):
    """Reads a timestamp, strictly; what is none is as old as can be."""
    return int(text) if re.fullmatch("0|[1-9][0-9]{0,17}", text) else 0


def fresh(milliseconds):
    return abs(time.time() * 1000 - milliseconds) <= WINDOW


_seen = {}
_lock = threading.Lock()


def first_time(key):
    """Remembers a key, and says whether it is new."""
    now = time.monotonic()
    with _lock:
        for old in [old for old, until in _seen.items() if until < now]:
            del _seen[old]
        if key in _seen:
            return False
        _seen[key] = now + 660
        return True


def serve(check):
    """Answers each delivery with the status that the check returns."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.close_connection = True
            self.answer(405)

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            if self.headers.get("Content-Encoding") or length > LIMIT:
                self.close_connection = True
                return self.answer(413 if length > LIMIT else 415)
            body = self.rfile.read(length)
            status = check(self.headers, body)
            if status == 200:
                try:
                    event = json.loads(body)  # here the receiver would do its work
                    status = 200 if event["eventName"] else 400
                except (ValueError, KeyError, TypeError):
                    status = 400
            self.answer(status)

        def answer(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
