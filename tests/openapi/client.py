"""Uses a client that openapi-python-client made from the description: client.py URL.

The client is the package `generated`, on PYTHONPATH. Keys are read and written at
several depths, with names that must be encoded, and errors are the models described.
A strict reader of server-sent events (httpx-sse) gets no empty event."""
import sys
from io import BytesIO

import httpx
from generated import Client
from generated.api.directories import list_directory
from generated.api.keys import change_key, delete_key, get_key, put_key
from generated.models import ChangeKeyOp
from generated.types import File
from httpx_sse import connect_sse


def same(expected, actual):
    assert expected == actual, f"expected {expected!r}, got {actual!r}"


def put(client, key, value, **more):
    return put_key.sync_detailed(key, client=client, body=File(payload=BytesIO(value)), **more)


def get(client, key):
    answer = get_key.sync_detailed(key, client=client)
    same(200, answer.status_code)
    return answer.parsed.payload.read()


url = sys.argv[1]
with Client(base_url=url) as client:
    for key in ("one", "two/names", "a/b/c/d/e", "100%/\u00fc b/x?y#z", "literal%2Fslash"):
        value = b"\x00\xff" + key.encode()
        same(201, put(client, key, value).status_code)
        same(value, get(client, key))
        same(412, put(client, key, b"", if_none_match="*").parsed.status)
        same(value, get(client, key))
    listed = list_directory.sync("a/b/c", client=client)
    same(["d/"], [entry.path for entry in listed.entries])
    changed = change_key.sync("n/deep", client=client, op=ChangeKeyOp.INCR, by="3")
    same(b"3", get(client, "n/deep"))
    same(204, delete_key.sync_detailed("a/b/c/d/e", client=client).status_code)
    missing = get_key.sync("a/b/c/d/e", client=client)
    same((404, "urn:keydir:problem:not-found"), (missing.status, missing.type_.value))

with httpx.Client() as client:
    client.put(f"{url}/v1/kv/watched", content=b"1")
    with connect_sse(client, "GET", f"{url}/v1/watch", params={"from": 0, "wait": "1ms"}) as source:
        events = list(source.iter_sse())
    assert events and all(event.data for event in events), events
