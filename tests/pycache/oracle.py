"""PyCache's interface as a Flask application, for comparison: oracle.py PORT-FILE.

Written from the interface, not from its code: routes, methods, payloads and messages are
PyCache's, all the rest (404, 405, redirects, OPTIONS, HEAD, JSON that is none) is what
Flask does by itself. It serves on a free port of 127.0.0.1 and writes its number to the file."""
import logging
import os
import signal
import sys

from flask import Flask, abort, jsonify, request
from werkzeug.exceptions import BadRequest
from werkzeug.serving import make_server

app = Flask(__name__)
cache = {}


def is_cache_item(value):
    """A number, a string of one character or more, an object, or a list that has an element."""
    if isinstance(value, bool) or value is None:
        return False
    return isinstance(value, (int, float, dict)) or len(value) > 0


@app.get("/api/cache/<key>/")
def get(key):
    payload = {"key": key, "value": cache[key]} if key in cache else {}
    return jsonify(message="Cache key get success", payload=payload)


@app.post("/api/cache/<key>/")
def post(key):
    value = request.get_json()
    if not is_cache_item(value):
        abort(400)
    cache[key] = value
    return jsonify(message="Cache key set success", payload={"key": key, "value": value}), 201


@app.delete("/api/cache/<key>/")
def delete(key):
    cache.pop(key, None)
    return jsonify(message="Cache key expired", payload={})


@app.errorhandler(415)
def wrong_type(_):
    """Flask before 2.3 answers 400 to a body that has another type than JSON."""
    return BadRequest().get_response()


@app.get("/api/health/")
def health():
    return jsonify(message="It works!!!", payload={"message_broker": "ok"})


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write(str(server.server_port))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()
