"""A node whose responses are lost, for tests of Nginx's repetitions.

lost_answer.py PORT NODE_PORT HOW

Listen on PORT and pass each request with a body of known length to the node on
NODE_PORT. The response is lost: with HOW "dies" the connection is closed, with
"hangs" nothing is sent. For a request with X-Then: VALUE, the key is then set to
VALUE, as by another client. Each line of the output is the Idempotency-Key of a
request."""
import http.client
import http.server
import sys
import threading

PORT, NODE_PORT, HOW = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
never = threading.Event()


class Lost(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.ask(self.command, body, dict(self.headers))
        if "X-Then" in self.headers:
            self.ask("PUT", self.headers["X-Then"].encode(), {"Host": self.headers["Host"]})
        print(self.headers.get("Idempotency-Key", "none"), flush=True)
        if HOW == "hangs":
            never.wait()
        self.close_connection = True

    do_PUT = do_DELETE = do_POST = handle_one

    def ask(self, method, body, headers):
        node = http.client.HTTPConnection("127.0.0.1", NODE_PORT, timeout=60)
        node.request(method, self.path, body, headers)
        node.getresponse().read()
        node.close()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


Server(("127.0.0.1", PORT), Lost).serve_forever()
