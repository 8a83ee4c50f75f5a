"""Scenarios: each takes the browser and the server, and returns the answers
that are no success and yet in order, as (status, part of the path)."""
import json


def browse(b, server):
    """The tree, each kind of value, and what is known of a key."""
    server.put("dir/sub/deep", b"down here")
    server.put("doc", b'{"b":[1,{"big":12345678901234567890}],"a":"x","e":{}}', Content_Type="application/json")
    server.put("text", "plain text, ünïcödé\n<b>not bold</b>".encode(), Content_Type="text/plain")
    server.put("bytes", bytes(range(256)))
    server.put("empty", b"")
    server.put("large", b"a line of a large value\n" * 40000)
    b.open(server.url + "/")
    b.same("[...document.querySelectorAll('#tree .name')].map((e) => e.textContent)",
           ["bytes", "dir/", "doc", "empty", "large", "text"])
    b.same("document.querySelectorAll('#tree [role=treeitem]').length", 6)
    b.wait("text('#entry-none').includes('Choose a key')")

    b.click("row('dir/')")
    b.same("row('dir/').getAttribute('aria-expanded')", "true")
    b.click("row('sub/')")
    b.same("row('sub/').getAttribute('aria-level')", "2")
    b.click("row('deep')")
    b.same("text('pre.value')", "down here")
    b.same("text('#entry-title')", "deep")
    b.same("[...document.querySelectorAll('.trail a')].map((e) => e.textContent)", ["All keys", "dir", "sub"])
    b.same("location.hash", "#/keys/dir/sub/deep")
    b.wait("document.title.startsWith('dir/sub/deep')")

    b.click("row('doc')")
    b.same("text('pre.value')", '{\n  "b": [\n    1,\n    {\n      "big": 12345678901234567890\n    }\n  ],\n  "a": "x",\n  "e": {}\n}')
    facts = "Object.fromEntries([...document.querySelectorAll('.facts div')].map((d) => [text_(d, 'dt'), text_(d, 'dd')]))"
    b.js("void (window.text_ = (d, s) => d.querySelector(s).innerText)")
    seen = b.js(facts)
    headers = server.headers("doc")
    assert seen["Content type"] == "application/json", seen
    assert seen["Size"] == "53 B" and seen["Expires"].startswith("never"), seen
    assert f'"{seen["Version"]}"' == headers["ETag"], (seen, headers["ETag"])
    b.button("Text")
    b.wait("text('pre.value').startsWith('{\"b\":[1,')")
    b.button("Hex")
    b.wait("text('pre.value').startsWith('000000  7b 22 62 22')")
    b.button("JSON")

    b.click("row('text')")
    b.same("text('pre.value')", "plain text, ünïcödé\n<b>not bold</b>")
    b.click("row('bytes')")
    b.wait("text('pre.value').includes('0000f0  f0 f1 f2')")
    b.same("[...document.querySelectorAll('.tabs button')].map((e) => e.textContent)", ["Hex"])
    b.click("row('empty')")
    b.wait("text('#entry').includes('The value is empty.')")
    b.click("row('large')")
    b.wait("text('.cut').includes('The first 64 KiB of 938 KiB')")
    b.same("text('pre.value').length < 70000", True)

    # a directory, back, a link from outside, what is not there
    b.click("document.querySelector('.brand')")
    b.wait("text('#entry-none').includes('Choose a key')")
    b.js("location.hash = '#/keys/dir'")
    b.same("location.hash", "#/keys/dir/")
    b.wait("text('#entry').includes('Entries\\n1')")
    b.open(server.url + "/#/keys/dir/sub/deep")
    b.same("text('pre.value')", "down here")
    b.wait("row('deep').getAttribute('aria-selected') === 'true'")
    b.js("location.hash = '#/keys/dir/nothing'")
    b.wait("text('#entry').includes('There is no such key')")
    b.js("location.hash = '#/keys/dir/sub/deep/below'")
    b.wait("text('#entry').includes('There is no such key')")
    # what others change shows by itself
    server.put("dir/sub/newer", b"1")
    b.wait("row('newer')")
    server.ask("DELETE", "/v1/kv/dir/sub/newer")
    b.wait("!row('newer')")
    return [(404, "/v1/kv/dir")]
