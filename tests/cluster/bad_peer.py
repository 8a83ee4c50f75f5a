#!/usr/bin/env python3
"""A peer that sends a snapshot in a wrong way.

    bad_peer.py PORT FILE MODE

Answers every request with FILE, a whole snapshot, as MODE says:

    whole      unchanged
    cut        half of it, with a Content-Length that matches
    die        half of it, then close the connection
    stall      half of it, then nothing while the client waits
    trickle    2 KB a second, while the client waits
    endless    zeros without end, as fast as the client reads
    gate       503 to the first request, after a short delay, then unchanged
    flip=N     with one bit flipped in the byte at N thousandths of the length
    page       with a page overwritten, and a matching checksum
    html       an HTML page instead
"""
import http.server
import struct
import sys
import time

PAGE = 4096
TRAILER = 24
MARK = b"keydir-1"


def crc64(data):
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
        table.append(crc)
    crc = 2**64 - 1
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 2**64 - 1


def trailer(data):
    return MARK + struct.pack("<QQ", len(data), crc64(data))


def main():
    port, path, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    with open(path, "rb") as file:
        body = bytearray(file.read())
    assert bytes(body[-TRAILER:]) == trailer(body[:-TRAILER]), "no whole snapshot"
    if mode.startswith("flip="):
        body[len(body) * int(mode[5:]) // 1000] ^= 0x10
    elif mode == "page":
        # The offsets of rows within each page: LMDB follows them unchecked.
        data = body[:-TRAILER]
        for page in range(2, len(data) // PAGE):
            flags = struct.unpack_from("<H", data, page * PAGE + 10)[0]
            if flags & 3:
                data[page * PAGE + 12 : page * PAGE + 64] = b"\xff" * 52
        body = data + trailer(data)
    elif mode == "html":
        body = bytearray(b"<html>It works!</html>")

    def trickle(to):
        while True:
            to.write(b"x" * 400)
            time.sleep(0.2)

    def endless(to):
        while True:
            to.write(bytes(1 << 20))

    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(1)
            if mode == "gate" and len(asked) == 1:
                time.sleep(0.4)
                self.send_error(503)
                return
            without_end = {"trickle": trickle, "endless": endless}.get(mode)
            if without_end:
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                try:
                    without_end(self.wfile)
                except OSError:
                    return
            whole = mode not in ("cut", "die", "stall")
            sent = body if whole else body[: len(body) // 2]
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent if mode == "cut" else body)))
            self.end_headers()
            self.wfile.write(sent)
            self.wfile.flush()
            if mode == "stall":
                self.connection.settimeout(600)
                while self.connection.recv(1):
                    time.sleep(0.01)
            self.close_connection = True

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
