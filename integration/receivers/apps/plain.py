import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

later = ThreadPoolExecutor(max_workers=1)


def work(id, body):
    print(json.dumps({"id": id, "body": body}), flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path != "/webhooks/twenty":
            return self.answer(404)
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError:
            return self.answer(400)
        self.answer(202)
        later.submit(work, self.headers["X-Delivery-Id"], body)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", 3000), Handler).serve_forever()
