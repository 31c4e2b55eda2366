"""What the archive was asked and what it sent, for tests to look at."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

REMEMBERED = 500
"""Requests kept one by one."""


class Stats:
    """Counters of one archive; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        with self._lock:
            self._counts: Counter[tuple[str, int]] = Counter()
            self._bytes: Counter[str] = Counter()
            self._ports: set[int] = set()
            self._opened = 0
            self._leaks: list[str] = []
            self._requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
            self._active = 0
            self._most_active = 0
            self._data = self._most_data = 0
            self._handed_over: set[int] = set()

    def connection_opened(self) -> None:
        """A client connected."""
        with self._lock:
            self._opened += 1

    def begin(self, request: dict[str, Any]) -> None:
        """A request arrived; `request` becomes one of the remembered ones."""
        with self._lock:
            self._active += 1
            self._most_active = max(self._most_active, self._active)
            self._data += request["kind"] == "data"
            self._most_data = max(self._most_data, self._data)
            self._ports.add(request["port"])
            if request["authorization"] and request["kind"] != "data":
                self._leaks.append(f"{request['method']} {request['path']}")
            self._requests.append(request)

    def end(self, request: dict[str, Any], status: int) -> None:
        """Its answer ended, was cut or given up (status 0: nothing was sent)."""
        self.hand_over(request)
        with self._lock:
            self._handed_over.discard(id(request))
            request["status"] = status
            self._counts[request["kind"], status] += 1

    def hand_over(self, request: dict[str, Any]) -> None:
        """All of its answer is about to be handed to the connection: its client may ask for more at once."""
        with self._lock:
            if id(request) not in self._handed_over:
                self._handed_over.add(id(request))
                self._active -= 1
                self._data -= request["kind"] == "data"

    def sent(self, request: dict[str, Any], count: int) -> None:
        """Body bytes were handed to the connection."""
        with self._lock:
            request["bytes"] += count
            self._bytes[request["kind"]] += count

    def show(self) -> dict[str, Any]:
        """Everything counted, as JSON."""
        with self._lock:
            by_kind: dict[str, dict[str, int]] = {}
            for (kind, status), count in sorted(self._counts.items()):
                by_kind.setdefault(kind, {})[str(status)] = count
            return {
                "requests": sum(self._counts.values()),
                "by_kind": by_kind,
                "bytes_sent": sum(self._bytes.values()),
                "bytes_by_kind": dict(self._bytes),
                "connections": self._opened,
                "client_ports": len(self._ports),
                "most_at_once": self._most_active,
                "most_data_at_once": self._most_data,
                "authorization_outside_data": list(self._leaks),
                "last_requests": [dict(request) for request in self._requests],
            }

    def count(self, kind: str, status: int | None = None) -> int:
        """Finished requests of a kind, of one status or of any."""
        with self._lock:
            return sum(n for (k, s), n in self._counts.items() if k == kind and status in (None, s))
