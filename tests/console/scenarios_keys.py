"""Keys: browsed, edited, created, renamed, deleted.

A scenario takes the browser and the server, and returns the error responses that it
expects, as (status, part of the path).
"""
from browser import CTRL


def browse(b, server):
    """The tree, each kind of value, and the metadata of a key."""
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
    assert headers["ETag"].startswith('"%s-' % seen["Version"].replace(",", "")), (seen, headers["ETag"])
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
    b.button("Download all of it")
    assert b.downloaded("large") == b"a line of a large value\n" * 40000

    # a directory, the Back button, a link from outside, a missing key
    b.click("document.querySelector('.brand')")
    b.wait("text('#entry-none').includes('Choose a key')")
    b.js("location.hash = '#/keys/dir'")
    b.same("location.hash", "#/keys/dir/")
    b.wait("text('#entry').includes('Entries\\n1')")
    b.open(server.url + "/#/keys/dir/sub/deep")
    b.same("text('#entry pre.value')", "down here")
    b.wait("row('deep').getAttribute('aria-selected') === 'true'")
    b.js("location.hash = '#/keys/dir/nothing'")
    b.wait("text('#entry').includes('This key does not exist')")
    b.js("location.hash = '#/keys/dir/sub/deep/below'")
    b.wait("text('#entry').includes('This key does not exist')")
    # changes by other clients appear without a reload
    server.put("dir/sub/newer", b"1")
    b.wait("row('newer')")
    server.ask("DELETE", "/v1/kv/dir/sub/newer")
    b.wait("!row('newer')")
    # a deep name is not cut off: the tree scrolls sideways to it
    deep = "/".join(f"level{i:02}" for i in range(30))
    server.put(deep + "/at-the-bottom", b"1")
    b.open(server.url + "/#/keys/" + deep + "/at-the-bottom")
    b.wait("row('at-the-bottom')")
    b.wait("""(() => {
        const name = row('at-the-bottom').querySelector('.name').getBoundingClientRect();
        const tree = document.querySelector('#tree').getBoundingClientRect();
        return name.width > 100 && name.left >= tree.left && name.right <= tree.right;
    })()""")
    return [(404, "/v1/kv/dir")]


def hold_reads(b, path):
    """Hold the page's next reads of a key until letGo(); `asked` counts them from now on."""
    b.js("""void ((was) => {
        window.asked = 0;
        const gate = new Promise((go) => (window.letGo = go));
        window.fetch = async (...args) => {
            if (args[0].endsWith('/' + path) && !args[1].body) {
                window.asked++;
                await gate;
            }
            return was(...args);
        };
    })(window.unheldFetch ??= window.fetch)""", path=path)


def open_key(b, server, path):
    b.js("void (location.hash = hash)", hash="#/keys/" + path)
    b.wait("document.querySelector('#entry .actions') && !document.querySelector('#entry[aria-busy]')")


def edit(b, server):
    """The editor keeps TTL and type, resolves conflicts, and loses no unsaved change."""
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
    # a change by another client does not move the focus
    b.js("control('Rename').focus()")
    server.put("note?ttl=keep", b"changed")
    b.same("text('#entry pre.value')", "changed")
    b.same("document.activeElement.textContent", "Rename")

    # another client writes first: both values and a choice are shown
    b.button("Edit")
    b.fill("Value", "mine")
    server.put("note?ttl=keep", b"theirs <b>x</b>")
    b.wait("text('.news').includes('Another client changed it: version')")
    b.button("Save")
    b.wait("text('dialog h2') === 'Another client changed this key'")
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
    # another client deletes the key
    b.button("Edit")
    b.fill("Value", "back from the dead")
    server.ask("DELETE", "/v1/kv/note")
    b.wait("text('.news').includes('deleted')")
    b.button("Save")
    b.wait("text('dialog').includes('The key was deleted.')")
    b.button("Keep mine")
    b.same("text('#entry pre.value')", "back from the dead")
    assert server.get("note") == b"back from the dead"

    # the console asks before it discards unsaved changes
    b.button("Edit")
    b.fill("Value", "half")
    b.button("Events")
    b.wait("text('dialog h2') === 'Discard your changes?'")
    b.button("Continue editing")
    b.same("fieldOf('Value').value", "half")
    b.same("location.hash", "#/keys/note")
    b.button("Events")
    b.button("Discard")
    b.wait("seen(document.querySelector('#event-list').parentElement)")
    b.button("Keys")
    open_key(b, server, "note")
    b.same("text('#entry pre.value')", "back from the dead")
    # Escape asks as well, but cancels at once if nothing was changed
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

    # line ends are kept; a value that is not text is replaced from a file
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
    # the whole of a large text is read before it is edited
    server.put("long", b"0123456789abcde\n" * 5000)
    open_key(b, server, "long")
    b.button("Edit")
    b.wait("fieldOf('Value')?.value.length === 80000")
    b.press("End", CTRL)
    b.type("the end")
    b.press("s", CTRL)
    b.wait("text('#toasts').includes('Saved') && document.querySelector('.cut')")
    assert server.get("long") == b"0123456789abcde\n" * 5000 + b"the end"
    # a value too large for a text field is not read, and can be replaced from a file
    server.put("huge", b"x" * ((1 << 20) + 1))
    open_key(b, server, "huge")
    b.button("Edit")
    b.wait("text('form.edit').includes('too large for a text field')")
    b.fill("Content type", "text/plain")
    b.button("Save")
    b.wait("text('form.edit .error').includes('Choose a file')")
    b.upload("From a file", file)
    b.button("Save")
    b.wait("text('.cut').includes('250 KiB')")
    assert server.get("huge") == bytes(range(256)) * 1000
    assert server.headers("huge")["Content-Type"] == "text/plain"
    # the focus stays in a field where the user types while a link opens
    hold_reads(b, "note")
    b.click("row('note')")
    b.same("asked", 1)
    b.click("document.querySelector('#search')")
    b.js("void letGo()")
    b.same("text('#entry pre.value')", "back from the dead")
    b.same("document.activeElement.id", "search")
    return [(412, "/v1/kv/note"), (404, "/v1/kv/note"), (416, "")]


def late(b, server):
    """A response or a message that arrives after the user has moved on changes nothing."""
    server.put("one", b"1")
    server.put("two", b"2")
    b.open(server.url + "/#/keys/one")
    b.same("text('#entry pre.value')", "1")
    # Another client changes one key, and the user opens another as soon as the list shows
    # the change: the other key is read once. (A timer set later for longer ends later.)
    hold_reads(b, "two")
    b.js("void letGo()")
    server.put("one", b"1234")
    b.js("""new Promise((done) => {
        const look = () => {
            if (row('one').querySelector('.size').textContent !== '4 B') return requestAnimationFrame(look);
            row('two').click();
            setTimeout(done, 500);
        };
        look();
    })""")
    b.same("text('#entry pre.value')", "2")
    b.same("asked", 1)
    # A read that began before the user edits finds the key deleted: the editor stays.
    hold_reads(b, "two")
    server.put("two", b"22")
    b.same("asked", 1)
    b.button("Edit")
    b.fill("Value", "mine")
    server.ask("DELETE", "/v1/kv/two")
    b.wait("text('.news').includes('deleted')")
    b.js("void letGo()")
    b.wait("!document.querySelector('#entry[aria-busy]')")
    b.same("fieldOf('Value')?.value", "mine")
    b.button("Save")
    b.button("Keep mine")
    b.same("text('#entry pre.value')", "mine")
    assert server.get("two") == b"mine"
    return [(412, "/v1/kv/two"), (404, "/v1/kv/two")]


def change(b, server):
    """Create a key, set its time to live, rename it, delete it."""
    # a new key appears in the tree even if the stream reports it after the response
    b.open(server.url + "/#/keys/late/one/key")
    b.wait("text('#tree').includes('Empty') && text('#entry').includes('This key does not exist')")
    server.put("late/one/key", b"1")
    b.wait("row('key') && row('one/').getAttribute('aria-expanded') === 'true'")
    b.same("row('key').getAttribute('aria-selected')", "true")
    server.ask("DELETE", "/v1/kv/late/?recurse")
    b.open(server.url + "/#/keys")
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
    # a second key of that name is refused; the dialog shows the error and can be corrected
    b.button("New key")
    b.fill("Key", "app/config")
    b.button("Create")
    b.wait("text('dialog .error').includes('It already exists')")
    b.fill("Key", "app//x")
    b.button("Create")
    b.wait("text('dialog .error').includes('must not be empty')")
    b.fill("Key", "app/config/below")
    b.button("Create")
    b.wait("text('dialog .error').includes('is a key and not a directory')")
    b.fill("Key", "app/dir/")
    b.button("Create")
    b.wait("text('#entry').includes('This directory is empty')")
    assert server.ask("GET", "/v1/kv/app/dir/")[0] == 200
    # several times to live, with a live countdown
    open_key(b, server, "app/config")
    b.click("document.querySelector('.facts button')")
    b.fill("Time to live", "nonsense")
    b.button("Set")
    b.wait("text('dialog .error').includes('ttl must be a positive integer')")
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
    # a key that expires disappears from the page
    server.put("app/soon?ttl=1500ms", b"x")
    open_key(b, server, "app/soon")
    b.wait("row('soon')")
    b.wait("text('#entry').includes('This key does not exist')")
    b.wait("!row('soon')")

    # rename a key, replace another key, rename a directory
    server.put("app/other", b"other")
    open_key(b, server, "app/config")
    b.button("Rename")
    b.same("fieldOf('New name').value", "app/config")
    b.fill("New name", "app/other")
    b.button("Rename")
    b.wait("text('dialog .error').includes('It already exists')")
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

    # delete: ask, cancel, refuse after a change by another client, delete
    open_key(b, server, "moved/here/other")
    b.button("Delete")
    b.wait("text('dialog h2') === 'Delete moved/here/other?'")
    b.button("Cancel")
    b.wait("!document.querySelector('dialog')")
    b.same("document.activeElement.textContent", "Delete")
    b.button("Delete")
    server.put("moved/here/other", b"newer")
    b.click("document.querySelector('dialog .danger')")
    b.wait("text('dialog .error').includes('The key has changed')")
    assert server.get("moved/here/other") == b"newer"
    b.click("document.querySelector('dialog .danger')")
    b.same("location.hash", "#/keys/moved/here/")
    assert server.get("moved/here/other") is None
    b.wait("!row('other')")
    # a directory with everything below it, after its name was typed
    for i in range(20):
        server.put(f"moved/here/d{i}/k", b"1")
    server.put("stays", b"1")
    open_key(b, server, "moved/")
    b.button("Delete")
    b.wait("text('dialog h2') === 'Delete moved/ and everything below it?'")
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
    return [(404, "/v1/kv/late/one/key"), (412, "/v1/kv/"), (409, "/v1/kv/"), (400, "/v1/kv/app/config?op=expire"), (404, "/v1/kv/app/soon"),
            (404, "/v1/kv/app"), (404, "/v1/kv/moved")]
