"""What became of the sessions of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.measure.histogram import BufferedHistogram

FLUSH = 16_384  # durations that may wait


@dataclass(slots=True)
class SessionTally:
    """Sessions by fate; sub-agents belong to the session that started them.

    Attributes
    ----------
    started : arrived and begun.
    completed : answered to the last call.
    abandoned : given up after a call that finally failed, was refused, or took longer than the user's patience.
    unfinished : under way.
    duration_s : first call sent to last answer, of completed sessions that began after the warm-up and were not met
        part-way.
    """

    started: int = 0
    completed: int = 0
    abandoned: int = 0
    unfinished: int = 0
    duration_s: BufferedHistogram = field(default_factory=BufferedHistogram)

    def began(self) -> None:
        """A session arrived."""
        self.started += 1
        self.unfinished += 1

    def ended(self, *, completed: bool, duration_s: float | None) -> None:
        """A session ended; its duration where it is to be measured."""
        self.unfinished -= 1
        if not completed:
            self.abandoned += 1
            return
        self.completed += 1
        if duration_s is not None:
            self.duration_s.pending.append(duration_s)
            if len(self.duration_s.pending) >= FLUSH:
                self.duration_s.flush()
