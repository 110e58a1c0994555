"""For widgets whose data is a handful of parts: only the parts that changed are sent."""

from __future__ import annotations

from typing import Any

from ._base import KmemWidget


class SendsDifferences(KmemWidget):
    """Sends of `data` what differs from what was sent last."""

    _sent: dict[str, Any] | None = None

    def send_all(self) -> None:
        """Send everything to the front end."""
        self._sent = self.data()
        self._wire.full(self._sent)

    def send_changes(self) -> None:
        """Send the parts of `data` that changed; nothing where none did."""
        before, self._sent = self._sent or {}, self.data()
        changed = {key: value for key, value in self._sent.items() if key not in before or before[key] != value}
        if changed:
            self._wire.delta(changed)
