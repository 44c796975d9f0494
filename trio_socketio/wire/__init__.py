"""Tools to see and study the wire: frames taken apart, recorded conversations, and a proxy that shows them as they happen."""
