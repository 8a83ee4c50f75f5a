#!/usr/bin/env python3
"""Use the web console as a user does. Each run plays one scenario:

    tests/console/drive.py URL SCENARIO [PORT...]

URL is the page's address, through Nginx; the ports are those of the servers that
Nginx distributes to. A scenario prepares keys over REST, drives the page, and checks
the screen and the store. The run also fails if the page logged an error, violated its
policy, contacted another host, or received an error response that the scenario did
not expect.

SHOT=FILE in the environment leaves a picture of the page if it fails.
"""
import os
import signal
import sys
import time
import traceback
import urllib.error
import urllib.request

import scenarios_cluster
import scenarios_hands
import scenarios_keys
import scenarios_names
import scenarios_views
from browser import PATIENCE, Browser, Failed

SCENARIOS = {
    f.__name__: f for f in (
        scenarios_keys.browse, scenarios_keys.edit, scenarios_keys.late, scenarios_keys.change, scenarios_names.names,
        scenarios_hands.keyboard, scenarios_hands.phone, scenarios_hands.many, scenarios_hands.token, scenarios_views.events, scenarios_views.nodes,
        scenarios_cluster.cluster)
}


class Server:
    """A client of the store, over REST."""

    def __init__(self, url, token=None):
        self.url = url
        self.token = token
        self.ports = []

    def ask(self, method, path, body=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as r:
                return r.status, r.headers, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()

    def put(self, path, body, **headers):
        headers.setdefault("Content_Type", "application/octet-stream")
        status, headers, answer = self.ask("PUT", "/v1/kv/" + path, body, **headers)
        assert status in (200, 201), (path, status, answer)
        return headers

    def get(self, path):
        """Return the value, or None."""
        status, _, body = self.ask("GET", "/v1/kv/" + path + "?consistent")
        return body if status == 200 else None

    def break_connections(self):
        """Kill Nginx's workers and wait until they are gone; it starts new ones."""
        nginx = os.environ["NGINX_PID"]
        with open(f"/proc/{nginx}/task/{nginx}/children") as children:
            workers = children.read().split()
        for pid in workers:
            os.kill(int(pid), signal.SIGKILL)
        end = time.monotonic() + 10 * PATIENCE
        while any(os.path.exists(f"/proc/{pid}") for pid in workers):
            if time.monotonic() > end:
                raise Failed(f"Nginx's workers do not end: {workers}")
            time.sleep(0.02)

    def headers(self, path):
        return self.ask("HEAD", "/v1/kv/" + path + "?consistent")[1]


def main():
    url, name, *ports = sys.argv[1:]
    server = Server(url)
    server.ports = ports
    browser = Browser()
    try:
        browser.viewport(1280, 800)
        expected = SCENARIOS[name](browser, server) or []
        if browser.reports:
            raise Failed("the page reported:\n" + "\n".join(browser.reports))
        odd = [s for s in browser.statuses if not any(s[0] == status and what in s[2] for status, what in expected)]
        if odd:
            raise Failed(f"answers that were not expected: {odd}")
        if browser.hosts != {url.split("/")[2]}:
            raise Failed(f"asked other hosts: {browser.hosts}")
    except (Failed, AssertionError) as e:
        if "SHOT" in os.environ:
            browser.shot(os.environ["SHOT"])
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if "scenarios_" in f.filename]
        raise SystemExit(f"{name}, line {lines}: {type(e).__name__}: {e}") from e
    finally:
        browser.close()


main()
