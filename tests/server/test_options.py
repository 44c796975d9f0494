"""What the options of a server may be: a wrong value shows when the server is made, not with the first client."""

import math
from collections import deque
from functools import partial, wraps

import pytest

from trio_socketio import Server


def plain(value):
    return None


async def awaited(value):
    return None


class Plain:
    def __call__(self, value):
        return None

    method = __call__


class Awaited:
    async def __call__(self, value):
        return None

    method = __call__


@wraps(awaited)
def around_awaited(value):
    return awaited(value)


@wraps(plain)
async def around_plain(value):
    return plain(value)


@pytest.mark.parametrize(
    ("option", "values", "error"),
    [
        ("connect_timeout", ["45", None, True], TypeError),
        ("connect_timeout", [0, -1, math.nan], ValueError),
        ("shutdown_grace", ["5", None, False], TypeError),
        ("shutdown_grace", [0, -1, math.nan], ValueError),
        ("disconnect_grace", ["10", True], TypeError),
        ("disconnect_grace", [-1, math.nan], ValueError),
        ("max_attachments", ["3", 1.5, None, True], TypeError),
        ("max_attachments", [-1], ValueError),
        ("max_pending_acks", ["3", 1.5, None, True], TypeError),
        ("max_pending_acks", [-1], ValueError),
        ("compression_threshold", ["3", 2.5, None, True], TypeError),
        ("compression_threshold", [-1], ValueError),
        ("max_connections", ["10", 1.5, True], TypeError),
        ("max_connections", [-5], ValueError),
        ("http_compression", ["no", 1, None], TypeError),
        ("concurrent", ["no", 1, None], TypeError),
        ("allow_request", ["x", 5, plain, Plain(), Plain().method, partial(plain), partial(Plain())], TypeError),
        ("http", [None, 5, plain, Plain(), Plain().method, partial(plain)], TypeError),
        ("trace", [5, "x", awaited, Awaited(), Awaited().method, partial(awaited), around_plain], TypeError),
        ("transports", [None, "polling", 5], TypeError),
        ("trusted_proxies", [None, "127.0.0.1", 5], TypeError),
        ("json", [None, 5], TypeError),
        ("limits", [None, 5], TypeError),
        ("rate_limit", [5, "x"], TypeError),
    ],
)
def test_the_server_refuses_a_wrong_value_with_its_name_and_the_value(option, values, error):
    for value in values:
        with pytest.raises(error) as caught:
            Server(**{option: value})
        assert type(caught.value) is error
        assert option in str(caught.value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("connect_timeout", [0.001, 45, math.inf]),
        ("shutdown_grace", [0.001, 5, math.inf]),
        ("disconnect_grace", [None, 0, 10, math.inf]),
        ("max_attachments", [0, 64]),
        ("max_pending_acks", [0]),
        ("compression_threshold", [0]),
        ("max_connections", [None, 0, 1]),
        ("allow_request", [None, awaited, Awaited(), Awaited().method, partial(awaited), partial(Awaited())]),
        ("allow_request", [around_awaited, around_plain]),
        ("http", [awaited, Awaited(), Awaited().method, partial(awaited), around_awaited]),
        ("trace", [None, plain, Plain(), Plain().method, partial(plain), [].append, deque().append, print]),
        ("transports", [["polling"], ("polling", "websocket"), iter(["websocket"])]),
        ("trusted_proxies", [[], iter(["127.0.0.1"])]),
    ],
)
def test_the_server_takes_every_value_that_makes_sense(option, values):
    for value in values:
        Server(**{option: value})
