"""The views of events and nodes.

A scenario takes the browser and the server, and returns the error responses that it
expects, as (status, part of the path).
"""
import json
import time


def events(b, server):
    """Live events: each kind, pause, filter, reconnecting after a break."""
    b.open(server.url + "/#/events")
    b.wait("text('#event-state') === 'Live'")
    b.wait("text('#event-empty').includes('There have been no events')")
    rows = "[...document.querySelectorAll('#event-list li')].map((e) => [e.querySelector('.tag').textContent, e.querySelector('.name').textContent])"
    server.put("e/a", b"1")
    b.same(rows, [["set", "e/a"], ["mkdir", "e/"]])
    server.ask("POST", "/v1/kv/e/a?op=expire&ttl=300ms")
    b.wait(rows + ".some(([what, key]) => what === 'expire' && key === 'e/a')")
    b.wait(rows + ".some(([what, key]) => what === 'expired' && key === 'e/a')")
    server.put("e/b", b"22")
    server.ask("POST", "/v1/kv/e/b?op=rename&to=e/c")
    server.ask("DELETE", "/v1/kv/e/c")
    b.wait(rows + "[0].join() === 'del,e/c'")
    b.same(rows + ".slice(1, 4)", [["rename to", "e/c"], ["rename from", "e/b"], ["set", "e/b"]])
    b.button("Pause")
    b.wait("text('#event-state') === 'Paused'")
    for i in range(5):
        server.put(f"p/{i}", b"1")
    b.wait("text('#event-pause') === 'Resume (6 new)'")
    b.same(rows + "[0].join()", "del,e/c")
    b.button("Resume (6 new)")
    b.same(rows + "[0].join()", "set,p/4")
    b.fill("Show only keys with", "P/3")
    b.same(rows, [["set", "p/3"]])
    b.fill("Show only keys with", "")
    # a link from an event to the key
    b.click("document.querySelector('#event-list .name')")
    b.same("text('#entry pre.value')", "1")
    b.button("Events")
    b.button("Clear")
    b.same(rows, [])
    b.js("""void (window.states = [], new MutationObserver(() => states.push(text('#event-state')))
        .observe(document.querySelector('#event-state'), { childList: true, characterData: true, subtree: true }))""")
    # after a break no event is missing and none is repeated
    server.break_connections()
    for i in range(10):
        server.put(f"q/{i}", b"1")
    b.same(rows, [["set", f"q/{i}"] for i in range(9, 0, -1)] + [["set", "q/0"], ["mkdir", "q/"]])
    assert "Reconnecting" in b.js("states"), b.js("states")
    # of a thousand events at once the newest are shown
    ops = [{"op": "set", "key": f"flood/{i}", "value": "v"} for i in range(1000)]
    server.ask("POST", "/v1/txn", json.dumps(ops).encode(), Content_Type="application/json")
    b.wait(rows + ".length === 500")
    b.same(rows + "[0].join()", "set,flood/999")


def nodes(b, server):
    """Several requests through Nginx find all its nodes; the plots move."""
    ports = sorted(server.ports)
    for i in range(30):
        server.put(f"n/{i}", b"x" * 1000)
    b.open(server.url + "/#/nodes")
    ids = "[...document.querySelectorAll('#node-rows tr:not(.bad) th bdi')].map((e) => e.textContent.split(':').at(-1))"
    b.same(ids, ports)
    b.same("document.querySelectorAll('#node-rows .mark').length", 1)
    # a peer that only the nodes know
    b.same("[...document.querySelectorAll('#node-rows tr.bad th bdi')].map((e) => e.textContent)", ["http://127.0.0.1:1"])
    b.wait("text('#node-rows tr.bad [data-label=State]').includes('no answer')")
    b.wait("text('#answered-name').endsWith(':' + text('#node-rows tr:has(.mark) th bdi').split(':').at(-1))")
    offset = server.ask("GET", "/v1/status")[1]["X-Keydir-Offset"]
    b.wait("[...document.querySelectorAll('#node-rows tr:not(.bad) [data-label=Offset]')].every((e) => e.textContent === offset)",
           offset=f"{int(offset):,}")
    b.same("[...document.querySelectorAll('#node-rows tr:not(.bad) [data-label=Lag]')].map((e) => e.textContent)", ["0"] * 3)
    b.same("[...document.querySelectorAll('#node-rows tr:not(.bad) [data-label=State]')].every((e) => e.textContent === 'ready')", True)
    b.wait("text('#node-store').startsWith('30 keys, 1 directory,')")
    # the plots follow the requests
    value = "Object.fromEntries([...document.querySelectorAll('.plot')].map((p) => [p.querySelector('figcaption').firstChild.data, p.querySelector('strong').textContent]))"
    b.wait(f"{value}.Keys === '30'")
    b.wait("document.querySelectorAll('.plot polyline[points]').length >= 3")

    def busy():
        for _ in range(40):
            server.get("n/1")
        return b.js(f"parseFloat({value}.Requests) > 1")
    end = time.monotonic() + 30
    while not busy():
        assert time.monotonic() < end, b.js(value)
    b.wait(f"{value}.Memory.endsWith('KiB')")
    b.wait("[...document.querySelectorAll('.plot svg')].every((s) => s.getAttribute('aria-label').includes('now'))")
