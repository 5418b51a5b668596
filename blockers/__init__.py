"""Integrity: what an agent must not reach or fake, how that is scrubbed and audited."""
