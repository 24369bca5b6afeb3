"""Questions to the log that are asked again and again, saved in CloudWatch Logs Insights."""

from __future__ import annotations

QUERIES = {
    "errors": (
        "fields @timestamp, route, status, error, detail, request_id"
        " | filter status >= 500 | sort @timestamp desc | limit 100"
    ),
    "errors-by-cause": "filter ispresent(error) | stats count(*) as times by error, route | sort times desc",
    "slowest": (
        "filter ispresent(duration_ms) | sort duration_ms desc | limit 50 | display route, duration_ms, request_id"
    ),
    "by-key": (
        "filter ispresent(key)"
        " | stats count(*) as requests, sum(cost_usd) as usd, max(duration_ms) as slowest_ms by key"
        " | sort requests desc"
    ),
    "degraded": (
        "filter ispresent(degraded.0)"
        " | stats count(*) as answers by degraded.0 as stage, bin(1h) as hour | sort hour desc"
    ),
    "one-request": "filter request_id = 'put the id here' | sort @timestamp asc",
    "tracebacks": "filter ispresent(exception) | fields @timestamp, logger, message, exception | sort @timestamp desc",
}
