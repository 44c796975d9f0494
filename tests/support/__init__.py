"""What the tests share: a server in memory, and peers that reach it."""
