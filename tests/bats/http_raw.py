"""Raw HTTP/1.1 for tests: requests that curl cannot send, and many connections."""
import os
import socket
import time

PORT = int(os.environ["PORT"])
PATIENCE = float(os.environ.get("PATIENCE", "1"))


def connect(timeout=20):
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=timeout * PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(method, path, body=b"", *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body and not any(h.lower().startswith("transfer-encoding") for h in headers):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Reader:
    """Read responses from a socket, one after the other."""

    def __init__(self, sock):
        self.sock = sock
        self.buf = b""

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("closed after %r" % self.buf[:200])
        self.buf += data

    def answer(self, head=False):
        """Return (status, headers, body) of the next response."""
        while b"\r\n\r\n" not in self.buf:
            self._more()
        top, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {k.strip().lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        if status == 100:
            return self.answer(head)
        length = 0 if head or status in (204, 304) else int(headers.get("content-length", 0))
        while len(self.buf) < length:
            self._more()
        body, self.buf = self.buf[:length], self.buf[length:]
        return status, headers, body

    def closed(self):
        """Return whether the server closes the connection without sending more."""
        try:
            return self.buf == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def ask(method, path, body=b"", *headers):
    with connect() as sock:
        sock.sendall(request(method, path, body, *headers))
        return Reader(sock).answer(head=method == "HEAD")


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds * PATIENCE
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def active():
    """Return the number of requests in flight, except for this one."""
    text = ask("GET", "/metrics")[2].decode()
    return int(text.split("\nkeydir_http_requests_active ")[1].split("\n")[0]) - 1


def metric(name):
    """Return the value of a metric, as a whole number."""
    text = ask("GET", "/metrics")[2].decode()
    return int(float(text.split("\n" + name + " ")[1].split("\n")[0]))


def rss():
    """Return the MiB of the server's own memory, without its store."""
    with open(f"/proc/{os.environ['PID']}/status") as file:
        return int(next(l for l in file if l.startswith("RssAnon")).split()[1]) // 1024


def hold(n, text):
    """Open N connections that send TEXT and read nothing."""
    held = []
    for _ in range(n):
        sock = socket.socket()
        sock.settimeout(20 * PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", PORT))
        sock.sendall(text)
        held.append(sock)
    return held


def wait_for_changes(targets):
    """Open a connection for each target with a GET that waits; return when all wait."""
    waiting = []
    for target in targets:
        sock = connect()
        sock.sendall(request("GET", target))
        waiting.append(sock)
    wait_for(lambda: metric("keydir_http_waiting") == len(waiting))
    return waiting


def unfinished_put():
    """Open a connection with a PUT whose body never arrives."""
    sock = connect()
    sock.sendall(b"PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    return sock
