"""The comparison of Socket.IO servers: ``benchmarks/compare.py`` is its command.

`loads` says what is measured, `generator` and `polling` make the traffic, `process` starts servers and reads what the
operating system says about them, `measuring` puts the three together, and `figures` makes medians and ratios of what came out.
The rest presents them.
"""
