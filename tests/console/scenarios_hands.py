"""The keyboard, a phone, a directory of many keys, tokens.

A scenario takes the browser and the server, and returns the error responses that it
expects, as (status, part of the path).
"""
import json
import time

from browser import CTRL


def focused(b):
    return b.js("document.activeElement.getAttribute('aria-activedescendant') ? "
                "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).querySelector('.name').textContent : "
                "label(document.activeElement) || document.activeElement.id")


def keyboard(b, server):
    """Everything works by keyboard; the focused element is visible and has a name."""
    for i in range(50):
        server.put(f"a/k{i:02}", b"v%d" % i)
    server.put("b", b"last")
    b.open(server.url + "/")
    b.wait("row('a/')")
    # the tree is one stop of Tab; arrow keys move in it
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
    # edit and save
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
    # into the search, through its results, out of it
    b.press("/")
    b.same("document.activeElement.id", "search")
    b.type("k3")
    b.wait("document.querySelectorAll('#results a').length === 10")
    b.wait("text('#results p').includes('10 found')")
    b.press("ArrowDown")
    b.press("ArrowDown")
    b.same("document.activeElement.querySelector('.name').textContent", "a/k31")
    # the same keys rename and delete the focused result
    for key, title in (("F2", "Rename key"), ("Delete", "Delete a/k31?")):
        b.press(key)
        b.wait("text('dialog h2') === title", title=title)
        b.press("Escape")
        b.wait("!document.querySelector('dialog')")
    b.press("Enter")
    b.same("text('#entry pre.value')", "v31")
    # the name of a new key begins with the open directory, and the cursor is after it
    b.press("n")
    b.same("fieldOf('Key').value", "a/")
    b.type("x")
    b.same("fieldOf('Key').value", "a/x")
    b.press("Escape")
    b.wait("!document.querySelector('dialog')")
    b.press("ArrowUp")
    b.press("ArrowUp")
    b.same("document.activeElement.id", "search")
    b.press("Escape")
    b.wait("seen(document.querySelector('#tree')) && !seen(document.querySelector('#results'))")
    b.same("document.activeElement.id", "search")
    # rename and delete from the tree; the focus returns to it
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
    # and from the pane of the entry
    b.js("void (location.hash = '#/keys/b')")
    b.same("text('#entry-title')", "b")
    b.js("document.querySelector('#entry-title').focus()")
    for key, title in (("F2", "Rename key"), ("Delete", "Delete b?")):
        b.press(key)
        b.wait("text('dialog h2') === title", title=title)
        b.press("Escape")
        b.wait("!document.querySelector('dialog')")
    # every control has a name for screen readers
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
    """At 360 x 740, by touch, every view and dialog fits, and one pane is shown at a time."""
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
    # a tap opens a directory in place; its dots open its own page
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
    b.wait("!document.querySelector('dialog[open]') && text('#entry pre.value').startsWith('yyy')")
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
    # the dark colours differ from the light ones and have enough contrast
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
    """A directory of 100,000 keys needs few elements, and every key can be reached."""
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
    # the End key goes to the last row that was read, which loads the next page
    b.wait("""(() => {
        const tree = document.querySelector('#tree');
        tree.scrollTop = tree.scrollHeight;
        return row('k099999');
    })()""", seconds=60)
    assert b.js("document.querySelectorAll('#tree [role=treeitem]').length") < 100
    b.same("Math.round(document.querySelector('#tree-rows').offsetHeight / 28)", n + 1)
    b.click("row('k099999')")
    b.same("text('#entry pre.value')", "v")
    # a change in the middle of the directory
    server.put("big/k050000a", b"between")
    b.same("Math.round(document.querySelector('#tree-rows').offsetHeight / 28)", n + 2)
    # a search by a beginning reads only its directory, up to the first greater name
    b.fill("Search keys", "big/k05000")
    b.button("Beginning")
    b.same("document.querySelectorAll('#results a').length", 11)
    # the user can stop a search anywhere, and continue it
    b.js("void (window.asked = [], window.fetch_ = fetch, window.fetch = (path, o) => "
         "(asked.push(path), path.includes('cursor') ? new Promise((_, no) => o.signal.addEventListener('abort', () => no(o.signal.reason))) : fetch_(path, o)))")
    b.button("Anywhere")
    b.fill("Search keys", "99999")
    b.wait("text('#results p') === 'Searching \u2026 0 found, 5,000 keys read'")
    b.button("Stop")
    b.wait("text('#results p') === 'Stopped: 0 found, 5,000 keys read'")
    b.same("Boolean(control('Stop'))", False)
    b.js("void (window.fetch = fetch_)")
    b.button("Search further")
    b.wait("text('#results p') === 'Paused: nothing found so far, 55,000 keys read'")
    # the search does not read all keys at once
    b.same("asked.every((path) => !path.includes('recurse') || path.includes('limit=5000'))", True)
    # it reads a part at a time
    b.fill("Search keys", "99999")
    for read in ("50,000", "100,000"):
        b.wait("text('#results p') === `Paused: nothing found so far, ${read} keys read`", read=read)
        b.button("Search further")
    b.same("[...document.querySelectorAll('#results a .name')].map((e) => e.textContent)", ["big/k099999"])
    # a link to a key in the middle selects its row and scrolls it into view
    b.call("Page.navigate", url="about:blank")
    b.open(server.url + "/#/keys/big/k070000")
    b.wait("row('k070000')?.getAttribute('aria-selected') === 'true' && seen(row('k070000'))", seconds=60)
    # a directory is deleted in one step
    b.js("void (location.hash = '#/keys/big/')")
    b.wait("text('#entry').includes('more than 1,000')")
    b.button("Delete")
    b.type("big")
    b.press("Enter")
    b.wait("text('#tree').includes('Empty')")


def token(b, server):
    """The console asks for a token, keeps it for this tab only, and forgets it."""
    server.token = "writer-of-all"
    server.put("app/k", b"secret")
    server.put("other", b"2")
    b.open(server.url + "/#/keys/app/k")
    b.wait("text('dialog h2') === 'Token required'")
    b.same("document.querySelectorAll('dialog').length", 1)
    assert "secret" not in b.page_text()
    b.same("document.activeElement.type", "password")
    b.type("wrong")
    b.press("Enter")
    b.wait("text('dialog h2') === 'Unknown token'")
    b.type("writer-of-all")
    b.press("Enter")
    b.same("text('#entry pre.value')", "secret")
    b.wait("row('other')")
    # the stream and a change send the token, too
    server.put("app/k", b"secret 2")
    b.same("text('#entry pre.value')", "secret 2")
    b.button("Edit")
    b.fill("Value", "secret 3")
    b.button("Save")
    b.same("text('#entry pre.value')", "secret 3")
    assert server.get("app/k") == b"secret 3"
    # a link cannot send a token
    b.button("Download")
    assert b.downloaded("k") == b"secret 3"
    # the token is in this tab only, and survives a reload
    b.same("[document.cookie, localStorage.length, Object.values(sessionStorage).includes('writer-of-all')]", ["", 0, True])
    b.same("location.href.includes('writer')", False)
    b.call("Page.reload")
    b.same("text('#entry pre.value')", "secret 3")
    b.button("Log out")
    b.wait("text('dialog h2') === 'Token required'")
    b.same("Object.values(sessionStorage).includes('writer-of-all')", False)
    assert "secret" not in b.page_text()
    # a token for a part of the keys: the console says so and shows that part
    b.type("reader-of-app")
    b.press("Enter")
    b.wait("text('#tree-error').includes('needs the right \"read\" on everything')")
    b.fill("Or start at a directory", "app")
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
    b.same("text('#answered').trim()", "Nodes not shown")
    return [(401, ""), (403, "")]
