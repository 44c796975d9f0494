"""A chat on Flask-SocketIO; flask_after.py is the same on trio-socketio, for the same clients.

    pip install flask-socketio simple-websocket
    python examples/flask_before.py

Read the two side by side; docs/migrating.md has the whole comparison.
"""

# mypy: ignore-errors

import argparse

from flask import Flask, jsonify, request, session
from flask_socketio import ConnectionRefusedError, Namespace, SocketIO, emit, join_room, leave_room  # noqa: A004

app = Flask(__name__)
app.config["SECRET_KEY"] = "s3cret"  # noqa: S105  # an example
socketio = SocketIO(app, async_mode="threading")
people = {}


@app.route("/status")
def status():
    """Answer over HTTP."""
    return jsonify(people=sorted(people.values()))


@socketio.on("connect")
def connect(auth):
    """Let in who has a name."""
    if not auth or not auth.get("name"):
        raise ConnectionRefusedError("Who are you?", {"field": "name"})
    session["name"] = people[request.sid] = auth["name"]
    emit("welcome", sorted(people.values()))


@socketio.on("disconnect")
def disconnect(_reason):
    """Tell the others."""
    del people[request.sid]
    emit("left", session["name"], broadcast=True)


@socketio.on("join")
def join(room):
    """Enter a room, and tell the others in it."""
    join_room(room)
    emit("joined", session["name"], to=room, include_self=False)
    return room, "joined"


@socketio.on("leave")
def leave(room):
    """Leave a room."""
    leave_room(room)


@socketio.on("say")
def say(room, text):
    """Say something to a room."""
    emit("said", (session["name"], text), to=room)
    return "delivered"


@socketio.on("whisper")
def whisper(name, text):
    """Say something to one person, who acknowledges it."""
    sender = request.sid

    def heard(answer):
        socketio.emit("heard", answer, to=sender)

    for sid in [sid for sid, other in people.items() if other == name]:
        emit("whispered", (session["name"], text), to=sid, callback=heard)


@socketio.on("file")
def file(data):
    """Send bytes to everyone."""
    emit("file", {"from": session["name"], "data": data}, broadcast=True)
    return len(data)


@socketio.on("count")
def count(limit):
    """Count in the background."""
    socketio.start_background_task(count_to, request.sid, limit)


def count_to(sid, limit):
    """Tell a client all numbers up to a limit."""
    for number in range(1, limit + 1):
        socketio.sleep(0.01)
        socketio.emit("number", number, to=sid)


@socketio.on("divide")
def divide(a, b):
    """Divide; the error handler answers for what cannot be divided."""
    return a / b


@socketio.on_error_default
def failed(error):
    """Answer for a handler that failed."""
    return {"error": type(error).__name__, "event": request.event["message"]}


class Admin(Namespace):
    """What only administrators may do."""

    def on_connect(self, auth):
        """Ask for the token."""
        return auth == {"token": "s3cret"}

    def on_announce(self, text):
        """Tell everyone in the root namespace."""
        emit("announcement", text, namespace="/", broadcast=True)
        return "announced"


socketio.on_namespace(Admin("/admin"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    socketio.run(app, host="127.0.0.1", port=parser.parse_args().port, allow_unsafe_werkzeug=True)
