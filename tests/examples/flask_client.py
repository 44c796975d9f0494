"""Talks to a chat of flask_before.py or flask_after.py with python-socketio's client, and prints what was said, line by line.

python tests/examples/flask_client.py http://127.0.0.1:3000
"""

import json
import queue
import sys
import urllib.request

import socketio

WAIT = 10.0


class Person:
    """A client that keeps what it is told, and acknowledges what it is asked to."""

    def __init__(self, url, name, namespaces=("/",), transports=None):
        self.url = url
        self.name = name
        self.transports = transports
        self.events = queue.Queue()
        self.client = socketio.Client(reconnection=False)
        for namespace in namespaces:
            self.client.on("*", self.on_event, namespace=namespace)
            self.client.on("connect_error", self.on_refusal, namespace=namespace)

    def on_event(self, event, *args):
        self.events.put([event, *args])
        return f"{self.name} has got it"

    def on_refusal(self, data):
        self.events.put(["connect_error", data])

    def connect(self, auth, namespaces=("/",)):
        try:
            self.client.connect(
                self.url, auth=auth, namespaces=list(namespaces), transports=self.transports, wait_timeout=WAIT
            )
        except socketio.exceptions.ConnectionError:
            say(self.name, "is refused")

    def call(self, event, *args, namespace="/"):
        say(self.name, "calls", event, "and gets", self.client.call(event, args, namespace=namespace, timeout=WAIT))

    def emit(self, event, *args):
        self.client.emit(event, args)

    def hears(self, count=1):
        """Prints so many events, which are not here yet perhaps."""
        for _ in range(count):
            say(self.name, "hears", self.events.get(timeout=WAIT))

    def leaves(self):
        rest = list(self.events.queue)  # Flask-SocketIO may tell those who leave that they have left
        self.client.disconnect()
        say(self.name, f"also hears {rest}" if rest else "has heard nothing else")


def say(*words):
    print(json.dumps(words, default=lambda data: f"0x{data.hex()}"), flush=True)


def main(url):
    nobody = Person(url, "nobody", transports=["polling"])
    for auth in (None, {"name": ""}):
        nobody.connect(auth)
        nobody.hears()
    ada, grace = Person(url, "ada"), Person(url, "grace")
    ada.connect({"name": "Ada"})
    ada.hears()
    grace.connect({"name": "Grace"})
    grace.hears()
    with urllib.request.urlopen(f"{url}/status", timeout=WAIT) as response:
        say("status", response.status, response.headers.get_content_type(), json.load(response))
    ada.call("join", "tea")
    grace.call("join", "tea")
    ada.hears()
    grace.call("say", "tea", "hello 🙂")
    ada.hears()
    grace.hears()
    grace.call("leave", "tea")
    ada.call("say", "tea", "anyone?")
    ada.hears()
    ada.emit("whisper", "Grace", "psst")
    grace.hears()
    ada.hears()
    grace.call("file", b"\x00\x01\xff")
    ada.hears()
    grace.hears()
    ada.emit("count", 3)
    ada.hears(3)
    ada.call("divide", 1, 4)
    ada.call("divide", 1, 0)
    stranger = Person(url, "stranger", namespaces=["/admin"], transports=["polling"])
    stranger.connect({"token": "guessed"}, ["/admin"])
    say("stranger is in", sorted(stranger.client.namespaces))
    admin = Person(url, "admin", namespaces=["/admin"], transports=["polling"])
    admin.connect({"token": "s3cret"}, ["/admin"])
    admin.call("announce", "tea is ready", namespace="/admin")
    ada.hears()
    grace.hears()
    admin.leaves()
    ada.leaves()
    grace.hears()
    grace.leaves()


if __name__ == "__main__":
    main(sys.argv[1])
