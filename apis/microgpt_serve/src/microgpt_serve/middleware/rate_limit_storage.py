"""Rate-limit counters in an SQLite database, which the processes of a service share.

SQLite releases the lock of a process that is killed, and a change is one atomic statement. Counters
expire by a clock that never jumps, and which all processes of a computer share.
"""

import sqlite3
from time import monotonic

from limits.aio.storage import MemoryStorage

SWEEP_S = 60.0  # interval between deletions of expired counters


class SqliteStorage(MemoryStorage):
    """Storage of `limits` for sliding windows. Its counters are in a database, not in a dict."""

    def __init__(self, path: str) -> None:
        """Open a database file, or one in memory for the path `:memory:`."""
        super().__init__()
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
            "CREATE TABLE IF NOT EXISTS hits (key TEXT PRIMARY KEY, n INTEGER, expires REAL)"
        )
        self._swept_at = monotonic()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter, which expires after so many seconds, and return its new value."""
        now = monotonic()
        if now > self._swept_at + SWEEP_S:
            self._swept_at = now
            self._database.execute("DELETE FROM hits WHERE expires <= ?", (now,))
        statement = (
            "INSERT INTO hits VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n "
            "RETURNING n"
        )
        return self._number(statement, key, amount, now + expiry)

    async def decr(self, key: str, amount: int = 1) -> int:
        """Subtract from a counter and return its new value."""
        return self._number("UPDATE hits SET n = n - ? WHERE key = ? RETURNING n", amount, key)

    async def get(self, key: str) -> int:
        """Return a counter, or 0 if there is none."""
        statement = "SELECT n FROM hits WHERE key = ? AND expires > ?"
        return self._number(statement, key, monotonic())

    def _number(self, statement: str, *values: object) -> int:
        row = self._database.execute(statement, values).fetchone()
        return row[0] if row else 0
