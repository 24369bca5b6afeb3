"""The fault table: what goes wrong, and what the caller sees then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    fault: str
    outcome: str


CACHE = "200 without the cache; quick again once the breaker is open; heals within 10 s"
STORE = "503 problem that names retrieval, in seconds; heals without a restart"
DOCUMENTS = "200 where no filter was asked for, 503 where one was: never a wider result"

ROWS = {
    "F1": Row("Redis is down", CACHE),
    "F2": Row("Redis hangs", CACHE),
    "F3": Row("Redis is 500 ms slow", CACHE),
    "F4": Row("Redis resets connections", CACHE),
    "F5": Row("Redis answers garbage", CACHE),
    "F6": Row("vector store is down", STORE),
    "F7": Row("vector store hangs", STORE),
    "F8": Row("vector store is 5 s slow", STORE),
    "F9": Row("vector store answers 500", STORE),
    "F10": Row("vector store sends half a body", STORE),
    "F11": Row("MongoDB is down", DOCUMENTS),
    "F12": Row("MongoDB hangs", DOCUMENTS),
    "F13": Row("MongoDB's primary steps down", DOCUMENTS),
    "F14": Row("MongoDB refuses the password", DOCUMENTS),
    "F15": Row("model is down", "503 that names generation; search still answers"),
    "F16": Row("model answers 429 with Retry-After", "tried again where there is time, else 503 with its Retry-After"),
    "F17": Row("model answers 503", "503 after one call, and no retry storm"),
    "F18": Row("model's stream is cut", "the stream ends with an error event"),
    "F19": Row("model drips past the deadline", "error event at the deadline; the model's connection is closed then"),
    "F20": Row("query model is down", "200 degraded: self_query, query_expansion"),
    "F21": Row("reranking model fails", "200 degraded: reranking"),
    "F22": Row("tracing sink is down or hangs", "answers as before; spans are dropped and counted"),
    "F23": Row("Redis hangs and the model is slow", "200 within the deadline"),
    "F24": Row("a worker is killed under load", "errors on its own requests in flight only, for less than a second"),
    "F25": Row("workers are rolled under load by SIGTERM", "0 failed of 1,000 or more"),
    "F26": Row("disk is full for a new edge bundle", "one line, exit code, the old bundle stays"),
    "F27": Row("edge bundle is cut short", "start is refused in one line, exit code 78"),
    "F28": Row("edge bundle has another dimension", "start is refused in one line, exit code 78"),
    "F29": Row("clock jumps by an hour", "nothing expires and nothing hangs"),
    "F30": Row("file descriptors run out", "503 for what is too much, then it recovers; no crash"),
    "F31": Row("edge is offline", "200 by the edge, hard questions too"),
    "F32": Row("an edge's fallback is asleep", "200 by the edge; where that fails too, 503 with Retry-After"),
    "F33": Row("an edge's fallback hangs", "503 within the deadline where the edge can't answer itself"),
    "F34": Row("download of a bundle is cut", "the old bundle serves, the next look goes on where it stopped"),
    "F35": Row("an edge's disk is full", "one line, the old bundle serves, the next look brings the new one"),
    "F36": Row("an edge's clock is wrong", "200 by the edge; AWS refuses its signature"),
}
