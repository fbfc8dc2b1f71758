import json
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, request

app = Flask(__name__)
later = ThreadPoolExecutor(max_workers=1)


def work(id, body):
    print(json.dumps({"id": id, "body": body}), flush=True)


@app.post("/webhooks/twenty")
def twenty():
    later.submit(work, request.headers.get("X-Delivery-Id"), request.get_json())
    return "", 202
