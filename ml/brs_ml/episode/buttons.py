"""Turns held buttons into single presses."""

from __future__ import annotations

from collections.abc import Set


class Presses:
    """Edge-triggered, debounced buttons.

    A button that is held when first seen is no press, so a node that starts while a thumb rests
    on a button does nothing.

    Args:
        names: buttons of interest.
        debounce_s: a press within this time of the last release or press is chatter [s].
    """

    def __init__(self, names: Set[str], debounce_s: float = 0.2) -> None:
        self._names = names
        self._debounce_s = debounce_s
        self._held: Set[str] | None = None
        self._changed_s: dict[str, float] = {}

    def update(self, held: Set[str], now_s: float) -> list[str]:
        """Names newly pressed.

        Args:
            held: buttons down now.
            now_s: any steady clock [s].
        """
        held = held & self._names
        before, self._held = self._held, held
        if before is None:
            return []
        pressed = []
        for name in sorted(held ^ before):
            quiet_s = now_s - self._changed_s.get(name, -self._debounce_s)
            self._changed_s[name] = now_s
            if name in held and quiet_s >= self._debounce_s:
                pressed.append(name)
        return pressed
