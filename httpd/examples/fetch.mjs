// Keydir with fetch, in Node.js or a browser.   node fetch.mjs [URL]
const url = process.argv[2] ?? "http://127.0.0.1:5000";

class Keydir {
  offset = 0; // the newest that we have seen

  constructor(url) {
    this.url = url;
  }

  // Sees all that this client has written, whichever node answers.
  async call(method, path, { headers = {}, body } = {}) {
    const answer = await fetch(this.url + path, {
      method,
      body,
      headers: { "X-Keydir-Offset": String(this.offset), ...headers },
    });
    this.offset = Math.max(this.offset, Number(answer.headers.get("X-Keydir-Offset")));
    if (!answer.ok && answer.status !== 404 && answer.status !== 412) {
      throw new Error((await answer.json()).detail); // a problem document
    }
    return answer;
  }

  async put(key, value, { ttl, headers } = {}) {
    const query = ttl ? `?ttl=${ttl}` : "";
    return this.call("PUT", `/v1/kv/${key}${query}`, { body: value, headers });
  }

  async get(key) {
    const answer = await this.call("GET", `/v1/kv/${key}`);
    return answer.status === 404 ? null : answer;
  }

  // Compare and set: as often as another client is faster.
  async update(key, change) {
    for (;;) {
      const old = await this.get(key);
      const headers = old ? { "If-Match": old.headers.get("ETag") } : { "If-None-Match": "*" };
      const value = change(old && (await old.text()));
      const answer = await this.put(key, value, { headers });
      if (answer.status !== 412) return value;
    }
  }

  // Changes from an offset on, for ever: it comes back when a node is lost.
  // (In a browser, EventSource does all of this.)
  async *watch(prefix, from) {
    const query = new URLSearchParams({ prefix, from, values: "" });
    for (let last; ; await new Promise((wake) => setTimeout(wake, 1000))) {
      try {
        const headers = last ? { "Last-Event-ID": last } : {};
        const answer = await fetch(`${this.url}/v1/watch?${query}`, { headers });
        if (!answer.ok) throw new Error(`watch: ${answer.status}`);
        let text = "";
        for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
          const messages = (text + chunk).split("\n\n");
          text = messages.pop();
          for (const message of messages) {
            const data = /^data: (.*)$/m.exec(message);
            if (data) yield JSON.parse(data[1]);
            last = /^id: (.*)$/m.exec(message)?.[1] ?? last;
          }
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch's for a lost connection
      }
    }
  }
}

const keydir = new Keydir(url);

await keydir.put("examples/fetch/greeting", "hello");
const begin = keydir.offset;
console.log(await (await keydir.get("examples/fetch/greeting")).text());

await keydir.put("examples/fetch/session", "secret", { ttl: "90s" });
const session = await keydir.get("examples/fetch/session");
console.log("expires in", session.headers.get("X-Keydir-TTL"), "s");

console.log("counted to", await keydir.update("examples/fetch/counter", (old) => String(Number(old ?? 0) + 1)));

for await (const change of keydir.watch("examples/fetch/", begin)) {
  console.log(change.event, change.key, change.value);
  if (change.key.endsWith("/counter")) break;
}
