"""Watching what models say, per pinned version, against a frozen baseline."""
