"""The only part that knows HTTP and WebSocket: connections, and the sessions that live on them."""
