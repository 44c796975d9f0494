"""Which proxies a server believes, and who their client is.

Each proxy appends to ``X-Forwarded-For`` and its relatives on the right, and a client may have sent any beginning of its own. So
the list is read from the right: the client is the first address that is not a trusted proxy's. Entries that make no sense end it.

A proxy on the same machine may connect over a unix socket and have no address: `LOCAL` stands for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

LOCAL: Final = "local"
"""What a peer without an IP address is called, such as that of a unix socket or of a stream in memory."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose ``X-Forwarded-*`` headers count."""

    networks: tuple[IPNetwork, ...] = ()
    """Where they are; one address is a network of its own."""
    local: bool = False
    """Whether a peer that has no address is one: whoever may open the unix socket is believed."""

    @classmethod
    def parse(cls, entries: Iterable[object]) -> "TrustedProxies":
        """Read what an option says.

        Raises:
            TypeError: An entry is neither text nor an address or a network.
            ValueError: A text is neither an address nor a network, nor `LOCAL`.
        """
        all_entries = tuple(entries)
        return cls(tuple(_network(entry) for entry in all_entries if entry != LOCAL), LOCAL in all_entries)

    def __bool__(self) -> bool:
        return bool(self.networks) or self.local

    def trust(self, peer: IPAddress | str) -> bool:
        """Whether a peer is one of them."""
        if isinstance(peer, str):
            return self.local and peer == LOCAL
        return any(peer in network for network in self.networks)

    def follow(self, peer: IPAddress | str, forwarded: Sequence[str]) -> tuple[IPAddress | str, int]:
        """Find the client behind a peer.

        Args:
            peer: Who is at the other end of the connection, as `read_peer` reads it.
            forwarded: The items of ``X-Forwarded-For``.

        Returns:
            The client, and the number of trusted proxies on the way to it: if there are none, it is the peer.
        """
        client = peer
        proxies = 0
        for item in (*reversed(forwarded), ""):
            if not self.trust(client):
                break
            proxies += 1
            farther = _read_address(item)
            if farther is None or "%" in item:  # a scope id, which may be any text
                break
            client = farther
        return client, proxies


NOBODY: Final = TrustedProxies()
"""No proxy is trusted: anyone can send these headers."""


@lru_cache(maxsize=1024)
def read_peer(text: str) -> tuple[IPAddress | str, str]:
    """Read the address of a peer, which asks again and again; what is no IP address stands for itself.

    Returns:
        The peer, and how its address is shown.
    """
    address = _read_address(text)
    return (text, text) if address is None else (address, str(address))


def _read_address(text: str) -> IPAddress | None:
    """Read an address, some proxies add a port; an IPv4 peer of an IPv6 listener is an IPv4 address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _network(value: object) -> IPNetwork:
    if not isinstance(value, str | IPv4Address | IPv6Address | IPv4Network | IPv6Network):
        raise TypeError(f'trusted_proxies holds {value!r}; each must be an address or a network such as "10.0.0.0/8"')
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f'trusted_proxies holds {value!r}, which is neither an IP address nor a network such as "10.0.0.0/8", nor "local"'
        ) from None
    if isinstance(value, str) and "/" in value and network.network_address != ip_address(value.split("/")[0]):
        raise ValueError(
            f'trusted_proxies holds {value!r}, an address inside a network: write "{network}" to trust all of it'
        )
    return network
