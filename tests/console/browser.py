"""Headless Chromium, driven as by a user: mouse, keyboard, and checks of the screen.

Speaks the DevTools protocol over two pipes (--remote-debugging-pipe), so that
only Chromium and Python are needed. Errors on the page's console, uncaught
exceptions and violations of its policy are collected.
"""
import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

PATIENCE = float(os.environ.get("PATIENCE", "1"))
SHIFT = 8
CTRL = 2

# Key: code, number on Windows, text.
KEYS = {
    "Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""), "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "), "ArrowUp": ("ArrowUp", 38, ""), "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowRight": ("ArrowRight", 39, ""),
    "Home": ("Home", 36, ""), "End": ("End", 35, ""), "PageDown": ("PageDown", 34, ""),
    "PageUp": ("PageUp", 33, ""), "Delete": ("Delete", 46, ""), "F2": ("F2", 113, ""),
    "Backspace": ("Backspace", 8, ""), "/": ("Slash", 191, "/"),
}

# Functions for the page: they find visible elements by their accessible text.
HELPERS = """
window.seen = (e) => Boolean(e) && e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
window.label = (e) => (e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent || '').trim();
window.top_ = () => document.querySelector('dialog[open]') || document;
window.control = (text) => [...top_().querySelectorAll('button, a, summary, [role=treeitem], label')]
    .find((e) => seen(e) && label(e) === text);
window.fieldOf = (text) => [...top_().querySelectorAll('input, textarea')].find((e) => seen(e) && label(e) === text);
window.row = (name) => [...document.querySelectorAll('#tree [role=treeitem]')]
    .find((e) => e.querySelector('.name').textContent === name);
window.text = (selector) => document.querySelector(selector)?.innerText ?? '';
"""


class Failed(Exception):
    pass


class Browser:
    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            raise SystemExit("needs chromium")
        self.dir = tempfile.mkdtemp(prefix="console-")
        to_read, self.out = os.pipe()
        self.inp, to_write = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_read, to_write)]

        def in_child():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
             "--no-first-run", "--no-default-browser-check", "--no-proxy-server", "--mute-audio",
             "--remote-debugging-pipe", f"--user-data-dir={self.dir}/profile", "about:blank"],
            preexec_fn=in_child, pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(f"{self.dir}/log", "wb"), env=dict(os.environ, HOME=self.dir))
        for fd in (to_read, to_write, *high):
            os.close(fd)
        self.next_id = 0
        self.answers = {}
        self.changed = threading.Condition()
        self.session = None
        self.reports = []  # errors and warnings of the page
        self.statuses = []  # (status, method, path) of error responses
        self.requests = {}
        self.hosts = set()
        threading.Thread(target=self._read, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=HELPERS)
        os.mkdir(self.dir + "/downloads")
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=self.dir + "/downloads")

    # --- the protocol ---

    def _read(self):
        data = b""
        while True:
            try:
                more = os.read(self.inp, 1 << 16)
            except OSError:
                more = b""
            if not more:
                with self.changed:
                    self.answers = None
                    self.changed.notify_all()
                return
            data += more
            *whole, data = data.split(b"\0")
            for text in whole:
                self._take(json.loads(text))

    def _take(self, message):
        if "id" in message:
            with self.changed:
                self.answers[message["id"]] = message
                self.changed.notify_all()
            return
        what, p = message["method"], message.get("params", {})
        if what == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            self.reports.append("exception: " + d.get("exception", {}).get("description", d["text"]))
        elif what == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.reports.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif what == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            # error responses are in `statuses`
            if p["entry"]["source"] != "network":
                self.reports.append(f"log: {p['entry']['source']}: {p['entry']['text']}")
        elif what == "Audits.issueAdded" and "Policy" in p["issue"]["code"]:
            self.reports.append("issue: " + json.dumps(p["issue"])[:400])
        elif what == "Network.requestWillBeSent":
            request = p["request"]
            self.requests[p["requestId"]] = request["method"]
            if not request["url"].startswith(("data:", "blob:", "about:")):
                self.hosts.add(request["url"].split("/")[2])
        elif what == "Network.responseReceived" and p["response"]["status"] >= 400:
            url = p["response"]["url"].split("/", 3)[3]
            self.statuses.append((p["response"]["status"], self.requests.get(p["requestId"]), "/" + url))

    def call(self, method, **params):
        with self.changed:
            self.next_id += 1
            number = self.next_id
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        with self.changed:
            end = time.monotonic() + 30 * PATIENCE
            while self.answers is not None and number not in self.answers:
                if not self.changed.wait(end - time.monotonic()):
                    raise Failed(f"no answer to {method}")
            if self.answers is None:
                raise Failed("Chromium ended: " + open(f"{self.dir}/log", errors="replace").read()[-2000:])
            answer = self.answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    # --- the page ---

    def js(self, expression, **values):
        """Return the value of an expression in the page; VALUES are its variables."""
        names = ", ".join(values)
        args = ", ".join(json.dumps(v) for v in values.values())
        r = self._evaluate(expression=f"(async ({names}) => {{ const v = await ({expression}); return v instanceof Node ? true : v; }})({args})", returnByValue=True,
                      awaitPromise=True, userGesture=True)
        if "exceptionDetails" in r:
            d = r["exceptionDetails"]
            raise Failed(f"{expression}: " + d.get("exception", {}).get("description", d["text"]))
        return r["result"].get("value")

    def _evaluate(self, **what):
        """Evaluate, and repeat if the page was unloaded in the meantime, as by a reload."""
        end = time.monotonic() + 10 * PATIENCE
        while True:
            try:
                return self.call("Runtime.evaluate", **what)
            except Failed as e:
                if not any(s in str(e) for s in ("navigated or closed", "context was destroyed")) or time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def wait(self, expression, seconds=10, **values):
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            value = self.js(expression, **values)
            if value:
                return value
            if time.monotonic() > end:
                raise Failed(f"not within {seconds} s: {expression} {values or ''}\n{self.page_text()}")
            time.sleep(0.02)

    def page_text(self):
        return self.js("document.body.innerText")[:3000]

    def same(self, expression, wanted, **values):
        """Wait until an expression has the value WANTED."""
        end = time.monotonic() + 10 * PATIENCE
        while (value := self.js(expression, **values)) != wanted:
            if time.monotonic() > end:
                raise Failed(f"{expression} {values or ''}\nexpected: {wanted!r}\nactual:   {value!r}\n{self.page_text()}")
            time.sleep(0.02)

    # --- mouse and keyboard ---

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href.startsWith(url)", url=url.split("#")[0])

    def click(self, expression, **values):
        """Click the middle of the element that an expression returns, once it exists,
        is enabled, and no other element covers it."""
        spot = f"""(() => {{
            const e = {expression};
            if (!seen(e) || e.disabled) return null;
            e.scrollIntoView({{ block: 'nearest', inline: 'nearest' }});
            const r = e.getBoundingClientRect();
            const x = r.x + r.width / 2, y = r.y + r.height / 2;
            const hit = document.elementFromPoint(x, y);
            return hit && (e.contains(hit) || hit.contains(e)) ? [x, y] : null;
        }})()"""
        x, y = self.wait(spot, **values)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, modifiers=0):
        code, number, text = KEYS.get(key) or ("Key" + key.upper(), ord(key.upper()), key)
        if modifiers & CTRL:
            text = ""
        what = dict(key=key, code=code, windowsVirtualKeyCode=number, modifiers=modifiers)
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **what)
        self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def fill(self, name, text):
        """Replace the text of the field with the label NAME."""
        self.click("fieldOf(name)", name=name)
        self.press("a", CTRL)
        if text:
            self.type(text)
        else:
            self.press("Delete")

    def button(self, text):
        self.click("control(text)", text=text)

    def downloaded(self, name):
        """Wait for a complete download and return its bytes."""
        end = time.monotonic() + 20 * PATIENCE
        while not os.path.exists(f"{self.dir}/downloads/{name}"):
            if time.monotonic() > end:
                raise Failed(f"no download {name}: {os.listdir(self.dir + '/downloads')}")
            time.sleep(0.02)
        with open(f"{self.dir}/downloads/{name}", "rb") as file:
            return file.read()

    def upload(self, name, file):
        self.wait("fieldOf(name)", name=name)
        handle = self.call("Runtime.evaluate", expression=f"fieldOf({json.dumps(name)})")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=[file], objectId=handle)

    # --- the window ---

    def viewport(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
                  mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def shot(self, file):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(file, "wb") as to:
            to.write(base64.b64decode(data))

    def close(self):
        try:
            session, self.session = self.session, None
            if session:
                self.call("Browser.close")
        except Failed:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
