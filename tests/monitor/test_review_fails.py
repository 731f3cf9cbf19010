"""A post-mortem that cannot be written costs people nothing else of a rollback."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from llmguard.monitor._review import write_review
from llmguard.store import open_store


def test_a_route_without_upgrades_has_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log, and no file is left."""
    store = open_store(str(tmp_path / "store.db"))
    folder = tmp_path / "reviews"
    with caplog.at_level(logging.WARNING, logger="llmguard.monitor"):
        assert write_review(store, "prod", "nowhere", folder=folder) is None
    assert "no post-mortem of nowhere: " in caplog.text
    assert not folder.exists()


def test_a_store_that_is_gone_is_no_error_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever hears of the rollback must hear of it all the same."""
    store = open_store(str(tmp_path / "store.db"))
    store.close()
    with caplog.at_level(logging.WARNING, logger="llmguard.monitor"):
        assert write_review(store, "prod", "triage", folder=None) is None
    assert "no post-mortem of triage" in caplog.text
