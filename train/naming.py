"""Names of things by what they are made of."""

from __future__ import annotations

import hashlib


def digest(*parts: bytes | str) -> str:
    """Name of something that depends on `parts` alone."""
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "little"))
        total.update(content)
    return total.hexdigest()
