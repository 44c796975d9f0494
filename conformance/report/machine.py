"""Reports for programs: JSON, and JUnit's XML, which every CI service can show."""

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

from trio_socketio.conformance.case import Level
from trio_socketio.conformance.results import Outcome, Result, Tally, Verdict


def render_json(verdict: Verdict) -> str:
    """Return the report as a JSON object: the server, the counts, and each case with what came of it."""
    handshake = verdict.target.handshake
    report = {
        "server": verdict.server,
        "path": verdict.target.path,
        "pingInterval": round(handshake.ping_interval * 1000),
        "pingTimeout": round(handshake.ping_timeout * 1000),
        "maxPayload": handshake.max_payload,
        "conforms": verdict.conforms,
        "complete": verdict.complete,
        "reachable": verdict.reachable,
        "seconds": round(verdict.seconds, 3),
        "counts": _counts(verdict.tally()),
        "levels": {str(level): _counts(verdict.tally(level=level)) for level in Level},
        "cases": [_result(result) for result in verdict.results],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _counts(tally: Tally) -> dict[str, int]:
    return {"passed": tally.passed, "failed": tally.failed, "skipped": tally.skipped}


def _result(result: Result) -> dict[str, Any]:
    case = result.case
    entry: dict[str, Any] = {
        "id": case.id,
        "area": case.area.value,
        "level": str(case.level),
        "title": case.title,
        "outcome": str(result.outcome),
        "seconds": round(result.seconds, 3),
    }
    if result.outcome is Outcome.SKIPPED:
        entry["reason"] = result.got
    if result.outcome is Outcome.FAILED:
        entry |= {
            "expected": result.expected or case.expected,
            "got": result.got,
            "why": case.why,
            "section": str(case.section),
            "url": case.section.url,
            "transcript": _transcript(result),
        }
    if result.reruns:
        entry["reruns"] = result.reruns
    return entry


def _transcript(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "at": round(entry.at, 4),
            "connection": entry.connection,
            "direction": "sent" if entry.sent else "received",
            "what": entry.what,
            "text": entry.text,
        }
        for entry in result.entries
    ]


def render_junit(verdict: Verdict) -> str:
    """Return the report as JUnit XML, a suite for each area. Failures of MAY and ROBUST cases count as skipped there."""
    root = ET.Element("testsuites", name=f"Socket.IO conformance of {verdict.server}")
    for area in dict.fromkeys(result.case.area for result in verdict.results):
        results = [result for result in verdict.results if result.case.area is area]
        suite = ET.SubElement(root, "testsuite", name=area.value, tests=str(len(results)))
        failures = skipped = 0
        for result in results:
            case = result.case
            element = ET.SubElement(suite, "testcase", classname=area.value, name=case.id, time=f"{result.seconds:.3f}")
            if result.outcome is Outcome.FAILED and case.level in (Level.MUST, Level.SHOULD):
                failures += 1
                failure = ET.SubElement(element, "failure", type=str(case.level), message=_xml(result.got))
                failure.text = _xml(_explanation(result))
            elif result.outcome is not Outcome.PASSED:
                skipped += 1
                reason = result.got if result.outcome is Outcome.SKIPPED else f"{case.level} case failed: {result.got}"
                ET.SubElement(element, "skipped", message=_xml(reason))
        suite.set("failures", str(failures))
        suite.set("skipped", str(skipped))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _explanation(result: Result) -> str:
    case = result.case
    lines = [
        case.title,
        f"expected: {result.expected or case.expected}",
        f"got: {result.got}",
        f"why: {case.why}",
        f"read: {case.section} ({case.section.url})",
        "",
        *map(str, result.entries),
    ]
    return "\n".join(lines)


_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Return text without the characters that XML 1.0 cannot carry."""
    return _NOT_IN_XML.sub("�", text)
