"""Connections to the live page: those that ask for nothing are closed."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_PATIENCE = 5.0
"""Seconds in which the head of a request must have come."""
MOST_IDLE = 48
"""Connections without a request; the oldest make room for new ones."""


class Connection(H11Protocol):
    """A connection that is closed unless the head of a request comes in time.

    Of those without a request only so many stay open: the oldest make room for new ones.
    """

    waiting: asyncio.TimerHandle | None = None
    since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._wait()
        idle = [c for c in self.connections if isinstance(c, Connection) and c.idle]
        for late in sorted(idle, key=lambda c: c.since)[: max(0, len(idle) - MOST_IDLE)]:
            late.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that comes in drops is not waited for longer."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if not self.idle:
            self._stop()
        elif self.waiting is None:
            self.waiting = self.loop.call_later(HEAD_PATIENCE, self._give_up)

    def _stop(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def _give_up(self) -> None:
        self.waiting = None
        if self.idle:
            self.transport.abort()
