"""When each frame is shown: a clock that only goes forward, whatever a file says.

Times come from the frames' own time stamps, never from a frame rate, so variable rates are right by
nature. Stamps may be missing, stand still, go back (a stream that was joined from two) or leap (a
damaged number). Each such frame is given the time of the one before plus the usual step, and is
counted.
"""

from dataclasses import dataclass

LEAP = 600.0
"""A pause of more than so many seconds is taken for a damaged stamp."""

USUAL = (1e-4, 2.0)
"""Steps, in seconds, that a nominal frame rate is believed for."""


@dataclass
class Clock:
    """Seconds since the first frame, from the stamps of all frames in order.

    `step` is what a frame lasts until stamps have told: 0.04 s, or what a nominal rate says.
    After a stamp that cannot be, the next may fit what was before it (then it alone was wrong), or
    may go on from it (then the stream's own clock was set anew, and is followed from there).
    """

    step: float = 0.04
    repaired: int = 0
    _now: float | None = None
    _offset: float = 0.0
    _candidate: float | None = None

    @classmethod
    def of_rate(cls, rate: float | None) -> "Clock":
        """A clock whose first step is that of a nominal frame rate, where that makes sense."""
        believable = rate is not None and rate > 0 and USUAL[0] <= 1 / rate <= USUAL[1]
        return cls(1 / rate) if believable and rate is not None else cls()

    def tell(self, stamp: float | None) -> float:
        """The seconds of the next frame, whose time stamp in seconds is `stamp`, or None."""
        if self._now is None:
            self._now = 0.0
            self.repaired += stamp is None
            self._offset = 0.0 if stamp is None else -stamp
            return 0.0
        before = self._now
        if stamp is not None:
            for offset in (self._offset, self._candidate):
                if offset is not None and 0 < stamp + offset - before <= LEAP:
                    self._now, self._offset, self._candidate = stamp + offset, offset, None
                    self.step = self._now - before
                    return self._now
        self.repaired += 1
        self._now = before + self.step
        self._candidate = None if stamp is None else self._now - stamp
        return self._now
