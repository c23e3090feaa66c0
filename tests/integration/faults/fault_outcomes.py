"""The table of faults: what must come out of each call, for each fault."""

from __future__ import annotations

from tests.integration.faults.fault_server import FAULTS

# call -> meaning of the fault -> what comes out of the call while the fault lasts.
#   raised     the call raises; create: TransientError, so Flyte comes again, and then there is one job
#   kept       the job is not submitted yet; once the fault is over, get submits it, and then there is one job
#   failed     the job is FAILED at once, and there is no job at the API
#   unknown    the job is FAILED, "it is unknown whether the job was submitted", after one POST
#   adopted    the job that the fault hid is found and taken over
#   good       the call does what it should
#   unreadable get answers RUNNING, and says why
#   queued     get answers QUEUED: the API does not know the job yet
LASTING: dict[str, dict[str, str]] = {
    "create idempotent": {"sure": "kept", "doubtful": "kept", "final": "failed", "mended": "good"},
    "create adopt": {"sure": "kept", "doubtful": "adopted", "final": "failed", "mended": "good"},
    "create neither": {"sure": "raised", "doubtful": "unknown", "final": "failed", "mended": "good"},
    "create steps": {"sure": "kept", "doubtful": "kept", "final": "failed", "mended": "good"},
    "create look-up": {"sure": "kept", "doubtful": "kept", "final": "failed", "mended": "good"},
    "create token": {"sure": "raised", "doubtful": "raised", "final": "failed", "mended": "failed"},
    "get": dict.fromkeys(("sure", "doubtful", "final"), "unreadable") | {"mended": "good"},
    "get batch": dict.fromkeys(("sure", "doubtful", "final"), "unreadable") | {"mended": "good"},
    "get token": dict.fromkeys(("sure", "doubtful", "final", "mended"), "unreadable"),
    "result": dict.fromkeys(("sure", "doubtful", "final"), "unreadable") | {"mended": "good"},
    "delete": dict.fromkeys(("sure", "doubtful", "final"), "raised") | {"mended": "good"},
    "logs": dict.fromkeys(("sure", "doubtful", "final"), "raised") | {"mended": "good"},
    "logs document": dict.fromkeys(("sure", "doubtful", "final"), "raised") | {"mended": "good"},
}
_LASTING_EXCEPT = {
    ("create adopt", "reset_before_reading"): "kept",  # the look-up finds nothing, each time
    ("create look-up", "404"): "good",  # not found is not there
    ("get", "404"): "queued",  # within not_found_grace
    ("get batch", "404"): "good",  # one id may be the reason: the job is asked for alone
    ("delete", "404"): "good",  # what is gone needs no cancelling
    # A cancel needs no JSON: a 2xx is enough, whatever it says.
    ("delete", "html"): "good",
    ("delete", "broken_json"): "good",
    ("delete", "empty"): "good",
    # The lines that are known come too slowly: their place is not reached in time, and nothing is lost.
    ("logs document", "drip"): "raised",
    # What came of a log is given, and the next call reads on; a log may have nothing yet.
    ("logs document", "half_body"): "good",
    ("logs document", "empty"): "good",
}
# A fault that hits one request only is over at the next attempt: then the call is good, unless no retry mends it.
_ONCE = {"sure": "good", "doubtful": "good"}
_ONCE_EXCEPT = {
    **{cell: outcome for cell, outcome in _LASTING_EXCEPT.items() if outcome != "kept"},
    ("create adopt", "reset_before_reading"): "good",
}
# In a log of plain text these are text like any other: nothing can tell them from the job's own lines.
NOT_TOLD_APART = {("logs document", fault) for fault in ("html", "broken_json", "huge", "gzip_bomb")}


def expected(call: str, fault: str, lasting: bool) -> str:
    """The table's cell."""
    outcome = LASTING[call][FAULTS[fault].meaning]
    if lasting:
        return _LASTING_EXCEPT.get((call, fault), outcome)
    if outcome in ("unknown", "adopted") and (call, fault) not in _ONCE_EXCEPT:
        return outcome
    return _ONCE_EXCEPT.get((call, fault), _ONCE.get(FAULTS[fault].meaning, outcome))
