"""Names and values of any bytes.

A scenario takes the browser and the server, and returns the error responses that it
expects, as (status, part of the path).
"""
from browser import CTRL


# Names, and how the console shows them.
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
    """Names and values of any bytes are shown as text, and every action works on them."""
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
        # edit it, rename it, rename it back, by its shown name
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
    # a directory with such a name
    b.click("row('dir <b>\\\\xFF/')")
    b.click("row('\\\\x01')")
    b.same("document.querySelector('#entry pre.value')?.textContent", hostile.decode())
    b.same("[...document.querySelectorAll('.trail a')].at(-1).textContent", "dir <b>\\xFF")
    b.click("[...document.querySelectorAll('.trail a')].at(-1)")
    b.wait("document.querySelector('#entry-title').textContent.startsWith('dir <b>')")
    b.button("Delete")
    b.wait("document.querySelector('dialog h2')?.textContent.includes('everything below it')")
    b.type("dir <b>\\xFF")
    b.press("Enter")
    b.wait("!document.querySelector('dialog')")
    b.same("location.hash", "#/keys/s/")
    assert server.ask("GET", "/v1/kv/s/" + quote(b"dir <b>\xff") + "/")[0] == 404
    # created in the console
    b.button("New key")
    b.fill("Key", "s/\\xFE<b>%20\\\\")
    b.button("Create")
    b.same("location.hash", "#/keys/s/%FE%3Cb%3E%2520%5C")
    # found by search
    b.fill("Search keys", "<B>%20")
    b.same("[...document.querySelectorAll('#results a bdi')].map((e) => e.textContent)", ["s/\\xFE<b>%20\\\\"])
    # the events show all of it as text
    b.button("Events")
    b.wait("[...document.querySelectorAll('#event-list .name')].some((e) => e.textContent === 't/' + shown)",
           shown=STRANGE[0][0].decode())
    b.same("window.hacked", None)
    b.same("[document.scripts.length, document.images.length, document.querySelectorAll('main b, main i').length]", [1, 1, 0])
    # parse() reverses show(), for any bytes
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
