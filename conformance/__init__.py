"""The outside judge of Socket.IO servers, and the servers that such judges expect."""
