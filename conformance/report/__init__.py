"""Reports of a run: for the terminal, for people in a browser, and for programs."""

from trio_socketio.conformance.report.html import render_html as render_html
from trio_socketio.conformance.report.machine import render_json as render_json
from trio_socketio.conformance.report.machine import render_junit as render_junit
from trio_socketio.conformance.report.terminal import Progress as Progress
from trio_socketio.conformance.report.terminal import facts as facts
from trio_socketio.conformance.report.terminal import render_head as render_head
from trio_socketio.conformance.report.terminal import render_list as render_list
from trio_socketio.conformance.report.terminal import render_text as render_text
