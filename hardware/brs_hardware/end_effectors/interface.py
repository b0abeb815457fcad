"""The interface of an end effector: how far closed it shall be, and how far it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class EndEffectorState:
    """Measured end effector."""

    stamp_s: float  # of the measurement [s], in the clock of `act` and `step`
    closed: float  # 0 open .. 1 closed
    connected: bool = True  # False while the device does not answer
    problems: tuple[str, ...] = ()  # what it reports to be wrong, one line each


class EndEffector(ABC):
    """Something that opens and closes. Not thread-safe unless its class says so."""

    @abstractmethod
    def open(self) -> None:
        """Take the device into use. Raises DeviceError where that fails."""

    @abstractmethod
    def act(self, now_s: float, closed: float) -> None:
        """Want a closing fraction, 0 open .. 1 closed; values outside are clipped.

        Args:
            now_s: stamp of what caused it [s].
            closed: the fraction. One that is not finite is ignored: the last one stays wanted.
        """

    @abstractmethod
    def state(self) -> EndEffectorState | None:
        """The newest measurement; None before the first."""

    @abstractmethod
    def close(self) -> None:
        """Give the device up; may be called twice, and without `open`."""
