"""The base of every record that is written to disk: frozen, closed, and with one canonical digest."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen pydantic model that refuses unknown fields, so that a typo or a newer format never passes in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self, *, exclude: set[str] | None = None) -> str:
        """SHA-256 (hex) of the record's canonical JSON, less the top-level fields in ``exclude``."""
        return digest_json(self.model_dump(mode="json", exclude=exclude))


def digest_json(value: object) -> str:
    """SHA-256 (hex) of a JSON value: keys sorted, no blanks, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
