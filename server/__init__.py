"""The trio program: it runs sessions, hands events to handlers, and sends what they emit."""
