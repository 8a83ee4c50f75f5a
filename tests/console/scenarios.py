"""Scenarios: each takes the browser and the server, and returns the answers
that are no success and yet in order, as (status, part of the path)."""

import json
import time

from browser import CTRL


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
    b.same("text('#entry pre.value')", "down here")
    b.same("text('#entry-title')", "deep")
    b.same("[...document.querySelectorAll('.trail a')].map((e) => e.textContent)", ["All keys", "dir", "sub"])
    b.same("location.hash", "#/keys/dir/sub/deep")
    b.wait("document.title.startsWith('dir/sub/deep')")

    b.click("row('doc')")
    b.same("text('#entry pre.value')", '{\n  "b": [\n    1,\n    {\n      "big": 12345678901234567890\n    }\n  ],\n  "a": "x",\n  "e": {}\n}')
    facts = "Object.fromEntries([...document.querySelectorAll('.facts div')].map((d) => [text_(d, 'dt'), text_(d, 'dd')]))"
    b.js("void (window.text_ = (d, s) => d.querySelector(s).innerText)")
    seen = b.js(facts)
    headers = server.headers("doc")
    assert seen["Content type"] == "application/json", seen
    assert seen["Size"] == "53 B" and seen["Expires"].startswith("never"), seen
    assert f'"{seen["Version"]}"' == headers["ETag"], (seen, headers["ETag"])
    b.button("Text")
    b.wait("text('#entry pre.value').startsWith('{\"b\":[1,')")
    b.button("Hex")
    b.wait("text('#entry pre.value').startsWith('000000  7b 22 62 22')")
    b.button("JSON")

    b.click("row('text')")
    b.same("text('#entry pre.value')", "plain text, ünïcödé\n<b>not bold</b>")
    b.click("row('bytes')")
    b.wait("text('#entry pre.value').includes('0000f0  f0 f1 f2')")
    b.same("[...document.querySelectorAll('.tabs button')].map((e) => e.textContent)", ["Hex"])
    b.click("row('empty')")
    b.wait("text('#entry').includes('The value is empty.')")
    b.click("row('large')")
    b.wait("text('.cut').includes('The first 64 KiB of 938 KiB')")
    b.same("text('#entry pre.value').length < 70000", True)

    # a directory, back, a link from outside, what is not there
    b.click("document.querySelector('.brand')")
    b.wait("text('#entry-none').includes('Choose a key')")
    b.js("location.hash = '#/keys/dir'")
    b.same("location.hash", "#/keys/dir/")
    b.wait("text('#entry').includes('Entries\\n1')")
    b.open(server.url + "/#/keys/dir/sub/deep")
    b.same("text('#entry pre.value')", "down here")
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


def open_key(b, server, path):
    b.js("void (location.hash = hash)", hash="#/keys/" + path)
    b.wait("document.querySelector('#entry .actions') && !document.querySelector('#entry[aria-busy]')")


def edit(b, server):
    """Editing: what is kept, conflicts, and what must not be lost."""
    server.put("note?ttl=1h", b"one\ntwo\n", Content_Type="text/plain")
    b.open(server.url + "/#/keys/note")
    b.button("Edit")
    b.same("document.activeElement === fieldOf('Value')", True)
    b.same("fieldOf('Value').value", "one\ntwo\n")
    b.fill("Value", "three\n<four> \u2713\n")
    b.button("Save")
    b.wait("text('#entry pre.value').startsWith('three')")
    b.wait("text('#toasts').includes('Saved, version')")
    assert server.get("note") == "three\n<four> ✓\n".encode(), server.get("note")
    h = server.headers("note")
    assert h["Content-Type"] == "text/plain" and 3000 < int(h["X-Keydir-TTL"]) <= 3600, h.items()
    b.same("document.activeElement.id", "entry-title")
    # what others change leaves the focus where it is
    b.js("control('Rename').focus()")
    server.put("note?ttl=keep", b"changed")
    b.same("text('#entry pre.value')", "changed")
    b.same("document.activeElement.textContent", "Rename")

    # somebody is faster: both values, and a choice
    b.button("Edit")
    b.fill("Value", "mine")
    server.put("note?ttl=keep", b"theirs <b>x</b>")
    b.wait("text('.news').includes('Somebody else changed it meanwhile: version')")
    b.button("Save")
    b.wait("text('dialog h2') === 'Somebody else changed this key'")
    b.same("[...document.querySelectorAll('dialog .sides pre')].map((e) => e.innerText)", ["mine", "theirs <b>x</b>"])
    b.press("Escape")
    b.wait("!document.querySelector('dialog')")
    b.same("fieldOf('Value').value", "mine")
    b.same("document.activeElement === fieldOf('Value')", True)
    assert server.get("note") == b"theirs <b>x</b>"
    b.button("Save")
    b.button("Keep mine")
    b.same("text('#entry pre.value')", "mine")
    assert server.get("note") == b"mine"
    assert int(server.headers("note")["X-Keydir-TTL"]) > 3000
    b.button("Edit")
    b.fill("Value", "mine again")
    server.put("note", b"theirs again")
    b.button("Save")
    b.button("Take theirs")
    b.same("text('#entry pre.value')", "theirs again")
    assert server.get("note") == b"theirs again"
    # it was deleted meanwhile
    b.button("Edit")
    b.fill("Value", "back from the dead")
    server.ask("DELETE", "/v1/kv/note")
    b.wait("text('.news').includes('deleted')")
    b.button("Save")
    b.wait("text('dialog').includes('The key was deleted.')")
    b.button("Keep mine")
    b.same("text('#entry pre.value')", "back from the dead")
    assert server.get("note") == b"back from the dead"

    # unsaved changes are not left by accident
    b.button("Edit")
    b.fill("Value", "half")
    b.button("Events")
    b.wait("text('dialog h2') === 'Discard your changes?'")
    b.button("Go on editing")
    b.same("fieldOf('Value').value", "half")
    b.same("location.hash", "#/keys/note")
    b.button("Events")
    b.button("Discard")
    b.wait("seen(document.querySelector('#event-list').parentElement)")
    b.button("Keys")
    open_key(b, server, "note")
    b.same("text('#entry pre.value')", "back from the dead")
    # Escape asks as well, and cancels at once if nothing was changed
    b.button("Edit")
    b.fill("Value", "half")
    b.press("Escape")
    b.wait("text('dialog h2') === 'Discard your changes?'")
    b.press("Escape")
    b.wait("!document.querySelector('dialog')")
    b.same("fieldOf('Value').value", "half")
    b.press("Escape")
    b.button("Discard")
    b.same("text('#entry pre.value')", "back from the dead")
    b.button("Edit")
    b.wait("fieldOf('Value')")
    b.press("Escape")
    b.same("text('#entry pre.value')", "back from the dead")

    # line ends stay what they were; values that are no text come from files
    server.put("dos", b"a\r\nb\r\n")
    open_key(b, server, "dos")
    b.button("Edit")
    b.fill("Value", "a\nc\n")
    b.button("Save")
    b.wait("text('#entry pre.value').includes('c')")
    assert server.get("dos") == b"a\r\nc\r\n", server.get("dos")
    server.put("raw", b"\x00\xff\r")
    open_key(b, server, "raw")
    b.button("Edit")
    b.wait("text('form.edit').includes('The value is not text')")
    file = b.dir + "/upload"
    with open(file, "wb") as to:
        to.write(bytes(range(256)) * 1000)
    b.upload("From a file", file)
    b.button("Save")
    b.wait("text('.cut').includes('250 KiB')")
    assert server.get("raw") == bytes(range(256)) * 1000
    # a large text is read whole before it is edited
    server.put("long", b"0123456789abcde\n" * 5000)
    open_key(b, server, "long")
    b.button("Edit")
    b.wait("fieldOf('Value')?.value.length === 80000")
    b.press("End", CTRL)
    b.type("the end")
    b.press("s", CTRL)
    b.wait("text('#toasts').includes('Saved') && document.querySelector('.cut')")
    assert server.get("long") == b"0123456789abcde\n" * 5000 + b"the end"
    return [(412, "/v1/kv/note"), (404, "/v1/kv/note"), (416, "")]


def change(b, server):
    """Create, time to live, rename, delete."""
    b.open(server.url + "/")
    b.wait("text('#tree').includes('Empty')")
    b.button("New key")
    b.same("document.activeElement === fieldOf('Key')", True)
    b.type("app/config")
    b.fill("Value", '{"debug": true}')
    b.button("File, content type, time to live")
    b.fill("Content type", "application/json")
    b.button("15m")
    b.button("Create")
    b.wait("text('#entry pre.value').includes('\"debug\": true')")
    b.same("location.hash", "#/keys/app/config")
    assert server.get("app/config") == b'{"debug": true}'
    h = server.headers("app/config")
    assert h["Content-Type"] == "application/json" and 800 < int(h["X-Keydir-TTL"]) <= 900
    b.wait("/in 14 min \\d+ s/.test(text('#entry-ttl'))")
    b.wait("row('config') && row('app/').getAttribute('aria-expanded') === 'true'")
    # not twice; what is wrong is said where it happened, and can be put right
    b.button("New key")
    b.fill("Key", "app/config")
    b.button("Create")
    b.wait("text('dialog .error').includes('There is one already')")
    b.fill("Key", "app//x")
    b.button("Create")
    b.wait("text('dialog .error').includes('must not be empty')")
    b.fill("Key", "app/config/below")
    b.button("Create")
    b.wait("text('dialog .error').includes('is a key and not a directory')")
    b.fill("Key", "app/dir/")
    b.button("Create")
    b.wait("text('#entry').includes('Nothing is in this directory')")
    assert server.ask("GET", "/v1/kv/app/dir/")[0] == 200
    # several times the live countdown
    open_key(b, server, "app/config")
    b.click("document.querySelector('.facts button')")
    b.fill("Time to live", "nonsense")
    b.button("Set")
    b.wait("text('dialog .error').includes('ttl must be a whole number')")
    b.fill("Time to live", "40s")
    b.button("Set")
    first = b.wait("/^in (3\\d) s$/.exec(text('#entry-ttl'))?.[1]")
    b.wait("Number(/^in (\\d+) s$/.exec(text('#entry-ttl'))[1]) < first", first=int(first))
    b.wait("row('config').querySelector('.ttl').textContent.endsWith(' s')")
    b.click("document.querySelector('.facts button')")
    b.button("Remove the TTL")
    b.same("text('#entry-ttl')", "never")
    b.wait("!row('config').querySelector('.ttl')")
    assert "X-Keydir-TTL" not in server.headers("app/config")
    # one that expires goes by itself
    server.put("app/soon?ttl=1500ms", b"x")
    open_key(b, server, "app/soon")
    b.wait("row('soon')")
    b.wait("text('#entry').includes('no such key')")
    b.wait("!row('soon')")

    # rename: a key, onto another one, a directory
    server.put("app/other", b"other")
    open_key(b, server, "app/config")
    b.button("Rename")
    b.same("fieldOf('New name').value", "app/config")
    b.fill("New name", "app/other")
    b.button("Rename")
    b.wait("text('dialog .error').includes('There is one already')")
    assert server.get("app/other") == b"other"
    b.button("Replace a key of that name")
    b.click("[...document.querySelectorAll('dialog button')].find((e) => e.textContent === 'Rename')")
    b.same("location.hash", "#/keys/app/other")
    b.wait("text('#entry pre.value').includes('debug')")
    assert server.get("app/config") is None and server.get("app/other") == b'{"debug": true}'
    b.wait("!row('config') && row('other')")
    open_key(b, server, "app/")
    b.button("Rename")
    b.fill("New name", "moved/here")
    b.click("[...document.querySelectorAll('dialog button')].find((e) => e.textContent === 'Rename')")
    b.same("location.hash", "#/keys/moved/here/")
    assert server.get("moved/here/other") == b'{"debug": true}'
    b.wait("row('moved/') && !row('app/')")

    # delete: asked for, taken back, changed meanwhile, done
    open_key(b, server, "moved/here/other")
    b.button("Delete")
    b.wait("text('dialog h2') === 'Delete moved/here/other?'")
    b.button("Cancel")
    b.wait("!document.querySelector('dialog')")
    b.same("document.activeElement.textContent", "Delete")
    b.button("Delete")
    server.put("moved/here/other", b"newer")
    b.click("document.querySelector('dialog .danger')")
    b.wait("text('dialog .error').includes('changed meanwhile')")
    assert server.get("moved/here/other") == b"newer"
    b.click("document.querySelector('dialog .danger')")
    b.same("location.hash", "#/keys/moved/here/")
    assert server.get("moved/here/other") is None
    b.wait("!row('other')")
    # a directory with all below it, only after its name was typed
    for i in range(20):
        server.put(f"moved/here/d{i}/k", b"1")
    server.put("stays", b"1")
    open_key(b, server, "moved/")
    b.button("Delete")
    b.wait("text('dialog h2') === 'Delete moved/ and all below it?'")
    b.same("document.querySelector('dialog .danger').disabled", True)
    b.type("move")
    b.press("Enter")
    b.same("document.querySelector('dialog .danger').disabled", True)
    b.type("d")
    b.same("document.querySelector('dialog .danger').disabled", False)
    b.press("Enter")
    b.wait("!document.querySelector('dialog')")
    assert server.ask("GET", "/v1/kv/moved/")[0] == 404
    b.same("[...document.querySelectorAll('#tree .name')].map((e) => e.textContent)", ["stays"])
    return [(412, "/v1/kv/"), (409, "/v1/kv/"), (400, "/v1/kv/app/config?op=expire"), (404, "/v1/kv/app/soon"),
            (404, "/v1/kv/app"), (404, "/v1/kv/moved")]


# Names as they are, and as the console shows them.
STRANGE = [
    (b"<img src=x onerror=window.hacked=1>", None),
    (b"\"'><script>window.hacked=2<", None),
    (b" # ?&=+%41;%2e ", None),
    (b"a\\b", "a\\\\b"),
    (b"\\x41", "\\\\x41"),
    (b"tab\tline\nreturn\r", "tab\\x09line\\x0Areturn\\x0D"),
    (b"\xff\xfe\x80raw\xc3", "\\xFF\\xFE\\x80raw\\xC3"),
    ("\u202egnp.exe".encode(), "\\xE2\\x80\\xAEgnp.exe"),
    ("a\u00a0b\u200bc".encode(), "a\\xC2\\xA0b\\xE2\\x80\\x8Bc"),
    ("größe 漢字 🙂".encode(), None),
    (b"javascript:window.hacked=3", None),
    (b"{{constructor.constructor('window.hacked=4')()}}", None),
    (b"x" * 255, None),
    (b"...", None),
    (b"__proto__", None),
]


def quote(name):
    return "".join(chr(c) if chr(c).isascii() and (chr(c).isalnum() or chr(c) in "-._~/") else f"%{c:02X}" for c in name)


def names(b, server):
    """Names and values of any bytes are shown as text, and all works on them."""
    hostile = b"<script>window.hacked=5</script><img src=x onerror=window.hacked=6>"
    for name, _ in STRANGE:
        server.put("s/" + quote(name), hostile, Content_Type="text/html")
    server.put("s/" + quote(b"dir <b>\xff") + "/" + quote(b"\x01"), hostile)
    b.viewport(1280, 1000)
    b.open(server.url + "/#/events")
    b.wait("text('#event-state') === 'Live'")
    b.open(server.url + "/#/keys/s/")
    b.wait("text('#entry').includes('Entries\\n16')")
    if b.js("!document.querySelector('#tree .name') || !row('...')"):
        b.click("row('s/')?.querySelector('.twist')")
    for name, shown in STRANGE:
        shown = shown or name.decode()
        b.click("row(shown)", shown=shown)
        b.same("location.hash", "#/keys/s/" + quote(name))
        b.same("document.querySelector('#entry-title').textContent", shown)
        b.same("document.querySelector('#entry pre.value')?.textContent", hostile.decode())
        # edited, renamed and moved back, all by its name
        b.button("Edit")
        b.wait("fieldOf('Value')")
        b.press("a", CTRL)
        b.type("v <i>2</i>")
        b.press("s", CTRL)
        b.same("document.querySelector('#entry pre.value')?.textContent", "v <i>2</i>")
        assert server.get("s/" + quote(name)) == b"v <i>2</i>", name
        b.button("Rename")
        b.same("fieldOf('New name').value", "s/" + shown)
        b.fill("New name", "t/" + shown)
        b.press("Enter")
        b.same("location.hash", "#/keys/t/" + quote(name))
        assert server.get("t/" + quote(name)) == b"v <i>2</i>", name
        b.same("document.querySelector('#entry pre.value')?.textContent", "v <i>2</i>")
        b.button("Delete")
        b.wait("document.querySelector('dialog h2')?.textContent === 'Delete t/' + shown + '?'", shown=shown)
        b.press("Enter")
        b.same("location.hash", "#/keys/t/")
        assert server.get("t/" + quote(name)) is None
        b.js("void (location.hash = '#/keys/s/')")
        b.wait("row('dir <b>\\\\xFF/')")
    # a directory of such a name
    b.click("row('dir <b>\\\\xFF/')")
    b.click("row('\\\\x01')")
    b.same("document.querySelector('#entry pre.value')?.textContent", hostile.decode())
    b.same("[...document.querySelectorAll('.trail a')].at(-1).textContent", "dir <b>\\xFF")
    b.click("[...document.querySelectorAll('.trail a')].at(-1)")
    b.button("Delete")
    b.type("dir <b>\\xFF")
    b.press("Enter")
    b.wait("!document.querySelector('dialog')")
    assert server.ask("GET", "/v1/kv/s/" + quote(b"dir <b>\xff") + "/")[0] == 404
    # made here
    b.button("New key")
    b.fill("Key", "s/\\xFE<b>%20\\\\")
    b.button("Create")
    b.same("location.hash", "#/keys/s/%FE%3Cb%3E%2520%5C")
    # found by search
    b.fill("Search keys", "<B>%20")
    b.same("[...document.querySelectorAll('#results a bdi')].map((e) => e.textContent)", ["s/\\xFE<b>%20\\\\"])
    # events showed all of it as text
    b.button("Events")
    b.wait("[...document.querySelectorAll('#event-list .name')].some((e) => e.textContent === 't/' + shown)",
           shown=STRANGE[0][0].decode())
    b.same("window.hacked", None)
    b.same("[document.scripts.length, document.images.length, document.querySelectorAll('main b, main i').length]", [1, 1, 0])
    # what is shown and what is typed are each other's reverse, for any bytes
    b.same("""(async () => {
        const { show, parse, encodeBytes } = await import('/console/names.js');
        let seed = 7;
        const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
        for (let i = 0; i < 20000; i++) {
            const bytes = Array.from({ length: 1 + random(8) }, () => [1 + random(255), 92, 120, 65, 0xE2, 0x80, 0xAE][random(7)]).filter((c) => c !== 47);
            const path = encodeBytes(bytes);
            if (parse(show(path)) !== path) return [path, show(path), parse(show(path))];
        }
        return 'fine';
    })()""", "fine")
    return [(404, "/v1/kv/"), (416, "")]


def focused(b):
    return b.js("document.activeElement.getAttribute('aria-activedescendant') ? "
                "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).querySelector('.name').textContent : "
                "label(document.activeElement) || document.activeElement.id")


def keyboard(b, server):
    """Everything by keyboard alone; what has the focus is seen and has a name."""
    for i in range(50):
        server.put(f"a/k{i:02}", b"v%d" % i)
    server.put("b", b"last")
    b.open(server.url + "/")
    b.wait("row('a/')")
    # the tree is one stop; arrows move in it
    for _ in range(20):
        b.press("Tab")
        if b.js("document.activeElement.id === 'tree'"):
            break
        assert b.js("document.activeElement.matches(':focus-visible') && seen(document.activeElement) && "
                    "Boolean(label(document.activeElement) || document.activeElement.labels?.length)"), focused(b)
    b.same("document.activeElement.id", "tree")
    assert focused(b) == "a/"
    active = ("document.getElementById(document.querySelector('#tree').getAttribute('aria-activedescendant'))"
              "?.querySelector('.name').textContent")
    b.press("ArrowRight")
    b.wait("row('k00')")
    b.press("ArrowRight")
    b.same(active, "k00")
    b.press("End")
    b.same(active, "b")
    b.press("ArrowUp")
    b.same(active, "k49")
    b.press("PageUp")
    b.press("ArrowDown")
    b.press("Home")
    b.same(active, "a/")
    b.press("ArrowDown")
    b.press("ArrowDown")
    b.same(active, "k01")
    b.press("Enter")
    b.same("text('#entry pre.value')", "v1")
    b.same("document.activeElement.id", "tree")
    b.press("ArrowLeft")
    b.same(active, "a/")
    b.press("ArrowLeft")
    b.same("row('a/').getAttribute('aria-expanded')", "false")
    b.press("ArrowDown")
    b.same(active, "b")
    b.press(" ")
    b.same("text('#entry pre.value')", "last")
    # edit, save
    b.press("e")
    b.same("document.activeElement === fieldOf('Value')", True)
    b.press("a", CTRL)
    b.type("typed")
    b.press("Enter", CTRL)
    b.same("text('#entry pre.value')", "typed")
    assert server.get("b") == b"typed"
    # new key, with Tab through the fields
    b.press("n")
    b.same("document.activeElement === fieldOf('Key')", True)
    b.press("a", CTRL)
    b.type("c/new")
    b.press("Tab")
    b.type("value")
    for _ in range(12):
        b.press("Tab")
        if b.js("document.activeElement.textContent === 'Create'"):
            break
        b.same("document.querySelector('dialog').contains(document.activeElement)", True)
    b.press("Enter")
    b.same("text('#entry pre.value')", "value")
    assert server.get("c/new") == b"value"
    # search: to it, through the results, out of it
    b.press("/")
    b.same("document.activeElement.id", "search")
    b.type("k3")
    b.wait("document.querySelectorAll('#results a').length === 10")
    b.wait("text('#results p').includes('10 found')")
    b.press("ArrowDown")
    b.press("ArrowDown")
    b.same("document.activeElement.querySelector('.name').textContent", "a/k31")
    b.press("Enter")
    b.same("text('#entry pre.value')", "v31")
    b.press("ArrowUp")
    b.press("ArrowUp")
    b.same("document.activeElement.id", "search")
    b.press("Escape")
    b.wait("seen(document.querySelector('#tree')) && !seen(document.querySelector('#results'))")
    b.same("document.activeElement.id", "search")
    # rename and delete from the tree; the focus comes back
    b.js("document.querySelector('#tree').focus()")
    b.wait(active + " === 'k31'")
    b.press("F2")
    b.wait("fieldOf('New name')")
    b.press("a", CTRL)
    b.type("a/zz")
    b.press("Enter")
    b.same("location.hash", "#/keys/a/zz")
    b.same("document.activeElement.id", "tree")
    b.wait(active + " === 'zz'")
    b.press("Delete")
    b.wait("text('dialog h2') === 'Delete a/zz?'")
    b.press("Escape")
    b.wait("!document.querySelector('dialog')")
    assert server.get("a/zz") == b"v31"
    b.press("Delete")
    b.wait("document.querySelector('dialog')")
    b.press("Enter")
    b.wait("!row('zz')")
    assert server.get("a/zz") is None
    b.same("document.activeElement.id", "tree")
    # every control has a name for those who cannot see it
    for view in ("keys/b", "events", "nodes"):
        b.js("void (location.hash = '#/' + view)", view=view)
        b.wait("seen(document.querySelector('#view-' + name))", name=view.split("/")[0])
        for node in b.call("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if role in ("button", "link", "textbox", "radio", "checkbox", "treeitem", "tree", "image", "table", "searchbox") \
                    and not node.get("ignored"):
                assert node.get("name", {}).get("value"), (view, node)
    return [(404, "/v1/kv/a/"), (416, "")]


def overflow(b, where):
    wide = b.js("""(() => {
        const out = [];
        if (document.documentElement.scrollWidth > innerWidth) out.push('page');
        for (const e of document.querySelectorAll('body *')) {
            const r = e.getBoundingClientRect();
            if (!seen(e) || !r.width || (r.right <= innerWidth + 1 && r.left >= -1)) continue;
            if (!e.closest('pre.hex, .hidden, .skip, .sides pre')) out.push(`${e.tagName}.${e.className}#${e.id}`);
        }
        return out.slice(0, 5);
    })()""")
    assert not wide, (where, wide)


def phone(b, server):
    """360 x 740, by finger: every view and dialog fits, and one pane at a time."""
    long = "w" * 120
    server.put(f"a/{long}/key?ttl=5m", b'{"member": "' + b"x" * 300 + b'"}')
    server.put("bytes", bytes(range(256)) * 4)
    server.put("note", b"one " * 100)
    b.viewport(360, 740, phone=True)
    b.open(server.url + "/")
    b.wait("row('a/')")
    overflow(b, "tree")
    assert not b.js("seen(document.querySelector('#entry-pane'))")
    b.same("[...document.querySelectorAll('#tree .row')].every((e) => e.offsetHeight >= 44)", True)
    # a directory opens in place; its own page is behind the dots
    b.click("row('a/')?.querySelector('.name')")
    b.wait("row(name)", name=long + "/")
    b.same("location.hash.includes('a/')", False)
    b.click("row(name)?.querySelector('.name')", name=long + "/")
    b.click("row('key')?.querySelector('.name')")
    b.wait("text('#entry pre.value').includes('member')")
    assert not b.js("seen(document.querySelector('#browser'))")
    overflow(b, "key")
    for what in ("Edit", "Rename", "Delete"):
        b.button(what)
        b.wait("document.querySelector('dialog, form.edit')")
        overflow(b, what)
        b.press("Escape")
        b.wait("!document.querySelector('dialog, form.edit')")
    b.click("document.querySelector('.facts button')")
    b.wait("document.querySelector('dialog')")
    overflow(b, "ttl")
    b.button("Cancel")
    b.click("document.querySelector('.back')")
    b.wait("seen(document.querySelector('#browser'))")
    b.click("row('bytes')?.querySelector('.name')")
    b.wait("document.querySelector('#entry pre.hex')")
    overflow(b, "bytes")
    b.click("document.querySelector('.back')")
    b.click("row('a/')?.querySelector('.about')")
    b.wait("text('#entry').includes('Entries')")
    overflow(b, "directory")
    b.button("New key")
    b.button("File, content type, time to live")
    overflow(b, "new key")
    b.button("Cancel")
    # a conflict
    b.click("document.querySelector('.back')")
    b.click("row('note')?.querySelector('.name')")
    b.button("Edit")
    b.fill("Value", "mine")
    server.put("note", b"y" * 2000)
    b.button("Save")
    b.wait("document.querySelector('dialog.wide')")
    overflow(b, "conflict")
    b.button("Take theirs")
    b.click("document.querySelector('.back')")
    b.fill("Search keys", "www")
    b.wait("document.querySelectorAll('#results a').length > 0")
    overflow(b, "results")
    b.button("Events")
    server.put(f"a/{long}/key2", b"1")
    b.wait("document.querySelector('#event-list li')")
    overflow(b, "events")
    b.button("Nodes")
    b.wait("document.querySelectorAll('#node-rows tr').length === 3")
    overflow(b, "nodes")
    # the dark colours are others, and are enough of a contrast
    luminance = """(() => {
        const l = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const s = getComputedStyle(document.querySelector('#view-nodes .quiet')), g = getComputedStyle(document.body);
        const [hi, lo] = [l(s.color), l(g.backgroundColor)].sort((a, b) => b - a);
        return [l(g.backgroundColor), (hi + 0.05) / (lo + 0.05)];
    })()"""
    light, contrast = b.js(luminance)
    assert light > 0.8 and contrast >= 4.5, (light, contrast)
    b.dark(True)
    dark, contrast = b.js(luminance)
    assert dark < 0.1 and contrast >= 4.5, (dark, contrast)
    return [(412, "/v1/kv/note"), (404, "")]


def many(b, server):
    """100,000 keys in one directory: few elements, all of them reachable."""
    n = 100_000
    for i in range(0, n, 1000):
        ops = [{"op": "set", "key": f"big/k{k:06}", "value": "v"} for k in range(i, i + 1000)]
        status, _, answer = server.ask("POST", "/v1/txn", json.dumps(ops).encode(), Content_Type="application/json")
        assert status == 200, answer
    b.open(server.url + "/")
    b.click("row('big/')?.querySelector('.twist')")
    b.wait("row('k000000')")
    assert b.js("document.querySelectorAll('#tree [role=treeitem]').length") < 100
    b.js("document.querySelector('#tree').focus()")
    # End goes to the end of what was read, which brings the next page
    b.wait("""(() => {
        const tree = document.querySelector('#tree');
        tree.scrollTop = tree.scrollHeight;
        return row('k099999');
    })()""", seconds=60)
    assert b.js("document.querySelectorAll('#tree [role=treeitem]').length") < 100
    b.same("Math.round(document.querySelector('#tree-rows').offsetHeight / 28)", n + 1)
    b.click("row('k099999')")
    b.same("text('#entry pre.value')", "v")
    # a change in the midst of it
    server.put("big/k050000a", b"between")
    b.same("Math.round(document.querySelector('#tree-rows').offsetHeight / 28)", n + 2)
    # search by a beginning reads only its directory, up to where it ends
    b.fill("Search keys", "big/k05000")
    b.button("Beginning")
    b.same("document.querySelectorAll('#results a').length", 11)
    # and anywhere, some at a time
    b.button("Anywhere")
    b.fill("Search keys", "99999")
    for read in ("50,000", "100,000"):
        b.wait("text('#results p').includes(`so far, ${read} keys looked at`)", read=read)
        b.button("Search on")
    b.same("[...document.querySelectorAll('#results a .name')].map((e) => e.textContent)", ["big/k099999"])
    # one directory goes at once
    b.press("Escape")
    b.js("void (location.hash = '#/keys/big/')")
    b.wait("text('#entry').includes('more than 1,000')")
    b.button("Delete")
    b.type("big")
    b.press("Enter")
    b.wait("text('#tree').includes('Empty')")


def token(b, server):
    """Asks for a token, keeps it for the tab alone, and forgets it."""
    server.token = "writer-of-all"
    server.put("app/k", b"secret")
    server.put("other", b"2")
    b.open(server.url + "/#/keys/app/k")
    b.wait("text('dialog h2') === 'A token is needed'")
    b.same("document.querySelectorAll('dialog').length", 1)
    assert "secret" not in b.page_text()
    b.same("document.activeElement.type", "password")
    b.type("wrong")
    b.press("Enter")
    b.wait("text('dialog h2') === 'This token is not known'")
    b.type("writer-of-all")
    b.press("Enter")
    b.same("text('#entry pre.value')", "secret")
    b.wait("row('other')")
    # the stream has the token too; so has a change
    server.put("app/k", b"secret 2")
    b.same("text('#entry pre.value')", "secret 2")
    b.button("Edit")
    b.fill("Value", "secret 3")
    b.button("Save")
    b.same("text('#entry pre.value')", "secret 3")
    assert server.get("app/k") == b"secret 3"
    # in this tab, nowhere else, and it survives a reload
    b.same("[document.cookie, localStorage.length, Object.values(sessionStorage).includes('writer-of-all')]", ["", 0, True])
    b.same("location.href.includes('writer')", False)
    b.call("Page.reload")
    b.same("text('#entry pre.value')", "secret 3")
    b.button("Log out")
    b.wait("text('dialog h2') === 'A token is needed'")
    b.same("Object.values(sessionStorage).includes('writer-of-all')", False)
    assert "secret" not in b.page_text()
    # one that may see a part only: it says so, and shows that part
    b.type("reader-of-app")
    b.press("Enter")
    b.wait("text('#tree-error').includes('needs the right \"read\" on everything')")
    b.fill("Or begin at a directory", "app")
    b.button("Open")
    b.wait("row('k')")
    b.button("Events")
    b.wait("text('#event-state') === 'Live'")
    b.button("Keys")
    b.click("row('k')")
    b.same("text('#entry pre.value')", "secret 3")
    b.button("Delete")
    b.click("document.querySelector('dialog .danger')")
    b.wait("text('dialog .error').includes('needs the right')")
    b.button("Cancel")
    assert server.get("app/k") == b"secret 3"
    b.button("Nodes")
    b.wait("text('#node-error').includes('Not allowed')")
    return [(401, ""), (403, "")]


def events(b, server):
    """Live events: each kind, pause, filter, coming back after a break."""
    b.open(server.url + "/#/events")
    b.wait("text('#event-state') === 'Live'")
    b.wait("text('#event-empty').includes('Nothing has happened')")
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
    b.wait("text('#event-pause') === 'Go on (6 new)'")
    b.same(rows + "[0].join()", "del,e/c")
    b.button("Go on (6 new)")
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
    # a break: nothing is missed, nothing comes twice
    server.break_connections()
    for i in range(10):
        server.put(f"q/{i}", b"1")
    b.same(rows, [["set", f"q/{i}"] for i in range(9, 0, -1)] + [["set", "q/0"], ["mkdir", "q/"]])
    assert "Reconnecting" in b.js("states"), b.js("states")
    # a flood is shown, and bounded
    ops = [{"op": "set", "key": f"flood/{i}", "value": "v"} for i in range(1000)]
    server.ask("POST", "/v1/txn", json.dumps(ops).encode(), Content_Type="application/json")
    b.wait(rows + ".length === 500")
    b.same(rows + "[0].join()", "set,flood/999")


def nodes(b, server):
    """The nodes behind Nginx, found by asking several times; the plots."""
    ports = sorted(server.ports)
    for i in range(30):
        server.put(f"n/{i}", b"x" * 1000)
    b.open(server.url + "/#/nodes")
    ids = "[...document.querySelectorAll('#node-rows th bdi')].map((e) => e.textContent.split(':').at(-1))"
    b.same(ids, ports)
    b.same("document.querySelectorAll('#node-rows .mark').length", 1)
    b.wait("text('#answered-name').endsWith(':' + text('#node-rows tr:has(.mark) th bdi').split(':').at(-1))")
    offset = server.ask("GET", "/v1/status")[1]["X-Keydir-Offset"]
    b.wait("[...document.querySelectorAll('#node-rows [data-label=Offset]')].every((e) => e.textContent === offset)",
           offset=f"{int(offset):,}")
    b.same("[...document.querySelectorAll('#node-rows [data-label=Lag]')].map((e) => e.textContent)", ["0"] * 3)
    b.same("[...document.querySelectorAll('#node-rows [data-label=State]')].every((e) => e.textContent === 'ready')", True)
    b.wait("text('#node-store').startsWith('30 keys, 1 directories')")
    # the plots move with what is done
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
