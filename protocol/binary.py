"""Placeholders and attachments: how binary data travels beside JSON.

Each binary value is taken out of the data, leaves ``{"_placeholder":true,"num":0}`` in its place, and follows as a
frame of its own (Socket.IO protocol, "Packet encoding"). `encode` takes them out while the JSON text is made, without a
walk of its own; `find` locates the placeholders of decoded data, and `fill` puts the attachments there.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import DecodeError, EncodeValueError
from trio_socketio.protocol.jsontext import JSON

PLACEHOLDER = "_placeholder"
"""The key whose value ``true`` makes an object a placeholder."""

NUMBER = "num"
"""The key that says which attachment belongs there, counted from 0."""

BINARY_TYPES = (bytes, bytearray, memoryview)
"""What travels as an attachment."""

Slot = tuple[Any, int | str, int]
"""Where an attachment goes: the list or dict, the index or key in it, and the number of the attachment."""


_Packer = tuple[Callable[[JSON], str], list[bytes]]
"""An encoder, and the list to which it appends the binary values that it comes across."""

_idle: list[_Packer] = []
"""The packers that nobody uses. Making one takes half as long as encoding a short event; as many are made as there are
threads that encode at the same time."""


def _make_packer() -> _Packer:
    attachments: list[bytes] = []

    def take_out(item: Any) -> JSON:
        if not isinstance(item, BINARY_TYPES):
            jsontext.refuse(item)
        number = len(attachments)
        attachments.append(item if type(item) is bytes else bytes(item))
        return {PLACEHOLDER: True, NUMBER: number}

    return jsontext.encoder(take_out), attachments


def encode(value: JSON) -> tuple[str, tuple[bytes, ...]]:
    """Turn a value into JSON text and the attachments that its placeholders stand for.

    The attachments are copies where the value held something mutable.

    Raises:
        EncodeValueError: The value has no JSON form, or has binary data beside an object that looks like a placeholder.
        EncodeTypeError: The value contains an object that has no JSON form.
    """
    try:
        packer = _idle.pop()
    except IndexError:
        packer = _make_packer()
    encode_json, attachments = packer
    text = encode_json(value)  # if it fails, the packer is forgotten with what it has taken out
    taken = tuple(attachments)
    attachments.clear()
    _idle.append(packer)
    if taken and text.count(f'"{PLACEHOLDER}":true') != len(taken):
        _refuse_lookalikes(text, len(taken))
    return text, taken


def _refuse_lookalikes(text: str, attachments: int) -> None:
    # Inside a JSON string every quote has a backslash before it, so these two find keys and nothing else.
    if text.count(f'{{"{PLACEHOLDER}":true') + text.count(f',"{PLACEHOLDER}":true') != attachments:
        raise EncodeValueError(f"An object with the key {PLACEHOLDER} cannot be sent together with binary data")


def find(data: JSON, count: int, position: int | None = None) -> list[Slot]:
    """Find the placeholders in decoded data; the data itself must not be one.

    Args:
        data: What the JSON text of the packet says.
        count: How many attachments the packet announces.
        position: Where that text begins in its frame, for the error.

    Raises:
        DecodeError: A placeholder stands for an attachment that was not announced.
    """
    slots: list[Slot] = []
    containers = [data]
    for container in containers:  # grows as it goes; no recursion, so depth costs no stack
        for key, item in container.items() if type(container) is dict else enumerate(container):
            kind = type(item)
            if kind is dict:
                if item.get(PLACEHOLDER) is not True:
                    containers.append(item)
                    continue
                number = item.get(NUMBER)
                if type(number) is not int or not 0 <= number < count:
                    announced = "1 attachment is" if count == 1 else f"{count} attachments are"
                    raise DecodeError(f"A placeholder stands for no attachment: {announced} announced", position)
                slots.append((container, key, number))
            elif kind is list:
                containers.append(item)
    return slots


def fill(slots: Sequence[Slot], attachments: Sequence[bytes]) -> None:
    """Put the attachments where the placeholders are, in place."""
    for container, key, number in slots:
        container[key] = attachments[number]
