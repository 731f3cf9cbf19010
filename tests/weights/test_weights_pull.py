"""Pulling from a hub, played by a real HTTP server on loopback."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard_fallbacks.weights._pull import PullError, pull

COMMIT = "0123456789abcdef0123456789abcdef01234567"

pytest.importorskip("huggingface_hub")


@pytest.fixture
def get(hub: Any, tmp_path: pathlib.Path) -> Any:
    """Return `pull` from the stand-in into a directory of its own."""

    def run(file: str = "q8/tiny.gguf", **options: Any) -> Any:
        return pull("me/tiny", file, to=tmp_path / "m", endpoint=hub.url, **options)

    return run


def test_pull_pins_the_commit_and_verifies(get: Any, hub: Any, tiny: bytes) -> None:
    """The file is in place, whole, and its source names a commit, not a branch."""
    found = get()
    assert tiny == found.path.read_bytes()
    assert f"me/tiny@{COMMIT}:q8/tiny.gguf" == found.source
    assert (hub.announced, True) == (found.sha256, found.downloaded)
    assert ["tiny.gguf"] == [p.name for p in found.path.parent.iterdir()]
    assert [f"/me/tiny/resolve/{COMMIT}/q8/tiny.gguf"] == [
        path for method, path, _ in hub.seen if method == "GET"
    ]


def test_pull_again_downloads_nothing(get: Any, hub: Any) -> None:
    """A file that is there and right is not fetched again."""
    get()
    before = len([s for s in hub.seen if s[0] == "GET"])
    assert get().downloaded is False
    assert before == len([s for s in hub.seen if s[0] == "GET"])


def test_pull_goes_on_where_it_stopped(
    get: Any, hub: Any, tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a broken transfer nothing is in place; the next pull asks for the rest."""
    # It writes whole chunks of 10 MB, and backs off between tries of its own.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.cut_at = 20_000
    with pytest.raises(PullError, match="goes on where it stopped"):
        get()
    before = len(hub.seen)
    hub.cut_at = None
    found = get()
    (asked,) = [asked for method, _, asked in hub.seen[before:] if method == "GET"]
    assert int(asked.removeprefix("bytes=").rstrip("-")) >= 20_000
    assert tiny == found.path.read_bytes()


def test_wrong_digest_refuses_before_downloading(get: Any, hub: Any) -> None:
    """When hub and caller disagree, nothing is fetched."""
    with pytest.raises(PullError, match="nothing was downloaded"):
        get(sha256="0" * 64)
    assert [] == [s for s in hub.seen if s[0] == "GET"]


def test_wrong_content_is_deleted(get: Any, hub: Any, tmp_path: pathlib.Path) -> None:
    """Bytes that are not what was announced never get their final name."""
    hub.content = hub.content[:-1] + b"!"
    with pytest.raises(PullError, match="it was deleted"):
        get()
    assert [] == [p for p in (tmp_path / "m").rglob("*") if p.is_file()]


def test_another_file_in_place_is_kept(get: Any, tmp_path: pathlib.Path) -> None:
    """A file of the same name with other content is not overwritten."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "tiny.gguf").write_bytes(b"mine")
    with pytest.raises(PullError, match="is another file"):
        get()
    assert (tmp_path / "m" / "tiny.gguf").read_bytes() == b"mine"


def test_no_gguf_is_refused_after_the_digest(get: Any, hub: Any) -> None:
    """A file that is as announced but no GGUF does not get in either."""
    import hashlib

    hub.content = b"<html>sign in</html>"
    hub.announced = hashlib.sha256(hub.content).hexdigest()
    with pytest.raises(ConfigError, match="does not begin with 'GGUF'"):
        get()


def test_unknown_digest_needs_one(get: Any, hub: Any) -> None:
    """Without a digest from the hub or the caller nothing can be verified."""
    digest, hub.announced = hub.announced, "abc"
    with pytest.raises(PullError, match="--sha256"):
        get()
    assert digest == get(sha256=digest).sha256


def test_missing_file_says_what_to_check(get: Any) -> None:
    """A 404 is told in words."""
    with pytest.raises(PullError, match="not there, or not for you"):
        get(revision="gone")


def test_the_token_stays_with_the_hub() -> None:
    """Whoever the hub redirects to does not get the token."""
    import huggingface_hub

    from llmguard_fallbacks.weights._pull import _headers

    for location, sent in (("https://hub.test/a", True), ("https://cdn.test/a", False)):
        found = _headers(huggingface_hub, location, "hf_x", home="https://hub.test")
        assert sent == ("authorization" in found)


def test_no_hub_says_how_to_go_on(tmp_path: pathlib.Path) -> None:
    """A refused connection is one message."""
    with pytest.raises(PullError, match="run the same command again"):
        pull("me/tiny", "a.gguf", to=tmp_path, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("repo", "file", "sha256"),
    [
        ("tiny", "a.gguf", ""),
        ("me/tiny", "../a.gguf", ""),
        ("me/tiny", "/a.gguf", ""),
        ("me/tiny", "a.bin", ""),
        ("me/tiny", "a.gguf", "12"),
    ],
)
def test_wrong_arguments(
    tmp_path: pathlib.Path, repo: str, file: str, sha256: str
) -> None:
    """Repositories, paths that leave them and broken digests are refused unasked."""
    with pytest.raises(ConfigError):
        pull(repo, file, to=tmp_path, sha256=sha256, endpoint="http://127.0.0.1:9")
