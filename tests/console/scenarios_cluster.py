"""The view of nodes that follow one Kafka topic, through Nginx.

A scenario takes the browser and the server, and returns the error responses that it
expects, as (status, part of the path). With SHOTS=DIR in the environment it saves a
picture of each state.
"""
import os
import signal
import subprocess

ROW = "[...document.querySelectorAll('#node-rows tr')].find((r) => r.querySelector('bdi').textContent.endsWith(':' + port))"


def cell(name):
    return f"({ROW})?.querySelector('[data-label={name}] > span').innerText.replace(/\\s+/g, ' ').trim()"


def picture(b, name):
    if "SHOTS" not in os.environ:
        return
    for kind, width, height in (("desktop", 1280, 800), ("phone", 390, 844)):
        b.viewport(width, height, phone=kind == "phone")
        b.js("new Promise((done) => setTimeout(done, 300))")
        b.shot(f"{os.environ['SHOTS']}/{name}-{kind}.png")
    b.viewport(1280, 800)


def fits(b):
    for width, height in ((390, 844), (1280, 800)):
        b.viewport(width, height, phone=width < 500)
        b.wait("document.documentElement.scrollWidth <= innerWidth && document.querySelector('#view-nodes').scrollWidth <= innerWidth")


def cluster(b, server):
    """Of three nodes, one stops responding and one has a full disk; both recover."""
    ports = server.ports
    stopped, full = int(os.environ["STOP_PID"]), os.environ["SMALL_DISK"]
    for i in range(20):
        server.put(f"n/{i}", b"x" * 100)
    b.open(server.url + "/#/nodes")
    b.same("document.querySelectorAll('#node-rows tr').length", 3)

    def all_well():
        for port in ports:
            b.wait(cell("State") + " === 'ready'", seconds=40, port=port)
            b.wait(cell("Lag") + " === '0'", seconds=40, port=port)
        offset = "[...document.querySelectorAll('#node-rows [data-label=Offset]')].map((e) => e.textContent)"
        b.wait(f"new Set({offset}).size === 1 && {offset}.length === 3", seconds=40)
    all_well()
    b.same("document.querySelectorAll('#node-rows tr.bad').length", 0)
    picture(b, "well")
    # the disk of the third node is full: it stops applying the log
    first = type(server)(f"http://127.0.0.1:{ports[0]}")
    for i in range(40):
        first.put(f"big/{i}", b"x" * 500000)
    b.wait(cell("State") + ".startsWith('not ready')", seconds=40, port=ports[2])
    b.wait(cell("State") + ".length > 20", port=ports[2])
    b.wait(f"parseInt({cell('Lag')}) > 0", port=ports[2])
    # it refuses writes, and Nginx passes them to another node; no write waits for it
    for i in range(6):
        server.put(f"passed/{i}", b"1")
    status, _, answer = type(server)(f"http://127.0.0.1:{ports[2]}").ask("PUT", "/v1/kv/refused", b"1")
    assert status == 503 and b"No space left" in answer, (status, answer)
    # the second node hangs: the others report it, and the view stays current
    os.kill(stopped, signal.SIGSTOP)
    try:
        b.wait(cell("State") + ".startsWith('no answer')", seconds=60, port=ports[1])
        b.wait(cell("State") + ".length > 20", port=ports[1])  # with the reason
        before = b.js(cell("Offset"), port=ports[0])
        first.put("while/stopped", b"1")
        b.wait(cell("Offset") + " !== before", seconds=40, port=ports[0], before=before)
        b.wait(f"parseInt({cell('Lag')}) > 0", seconds=40, port=ports[1])
        b.same("document.querySelectorAll('#node-rows tr').length", 3)
        fits(b)
        picture(b, "ill")
    finally:
        os.kill(stopped, signal.SIGCONT)
    subprocess.run(["mount", "-o", "remount,size=256M", full], check=True)
    all_well()
    picture(b, "again")
    # while one node hung, Nginx may have returned an error
    return [(502, ""), (503, ""), (504, "")]
