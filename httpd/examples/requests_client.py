#!/usr/bin/env python3
"""Keydir with Python requests.   python3 requests_client.py [URL]"""
import json
import sys
import time

import requests


class Keydir:
    def __init__(self, url):
        self.url = url
        self.http = requests.Session()
        self.offset = 0  # the newest that we have seen

    def call(self, method, path, **kwargs):
        """Sees all that this client has written, whichever node answers."""
        headers = {"X-Keydir-Offset": str(self.offset), **kwargs.pop("headers", {})}
        answer = self.http.request(method, self.url + path, headers=headers, **kwargs)
        self.offset = max(self.offset, int(answer.headers.get("X-Keydir-Offset", 0)))
        return answer

    def put(self, key, value, ttl=None, **headers):
        params = {"ttl": ttl} if ttl else {}
        return self.call("PUT", f"/v1/kv/{key}", data=value, params=params, headers=headers)

    def get(self, key):
        answer = self.call("GET", f"/v1/kv/{key}")
        return None if answer.status_code == 404 else answer

    def update(self, key, change):
        """Compare and set: as often as somebody else is faster."""
        while True:
            old = self.get(key)
            condition = {"If-Match": old.headers["ETag"]} if old else {"If-None-Match": "*"}
            new = change(old.content if old else None)
            answer = self.put(key, new, **condition)
            if answer.status_code != 412:
                answer.raise_for_status()
                return new

    def watch(self, prefix, offset):
        """Changes from OFFSET on, for ever: it comes back when a node is lost."""
        last = None
        while True:
            # the stream's own place takes over from ?from= once there is one
            headers = {"Last-Event-ID": last} if last else {}
            params = {"prefix": prefix, "from": offset, "values": ""}
            try:
                with self.http.get(self.url + "/v1/watch", params=params, headers=headers,
                                   stream=True, timeout=(5, 60)) as stream:
                    stream.raise_for_status()
                    message = {}
                    for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                        if line:
                            name, _, value = line.partition(": ")
                            message[name] = value
                            continue
                        if "data" in message:
                            yield json.loads(message["data"])
                        last = message.get("id", last)
                        message = {}
            except requests.ConnectionError:
                pass
            time.sleep(1)


def main():
    keydir = Keydir(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000")

    keydir.put("examples/requests/greeting", b"hello").raise_for_status()
    begin = keydir.offset
    print(keydir.get("examples/requests/greeting").text)

    keydir.put("examples/requests/session", b"secret", ttl="90s").raise_for_status()
    print("expires in", keydir.get("examples/requests/session").headers["X-Keydir-TTL"], "s")

    count = keydir.update("examples/requests/counter", lambda old: str(int(old or 0) + 1))
    print("counted to", count)

    for change in keydir.watch("examples/requests/", begin):
        print(change["event"], change["key"], change.get("value"))
        if change["key"].endswith("/counter"):
            break


if __name__ == "__main__":
    main()
