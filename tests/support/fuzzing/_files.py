"""Files that somebody else may have written, cut short or turned over."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from llmguard.adapters._records import read_records, reply_of
from llmguard.errors import ConfigError, LockError
from llmguard.pins import Lock, to_text
from llmguard.pins._read import from_text
from llmguard.promotion._sshsig import Blob, parse_signature
from llmguard.shadow.files import Fields
from llmguard.shadow.files._records import BadRecordError, Row
from llmguard.store import SqliteStore, Store
from llmguard.suite._cases import read_cases
from llmguard.suite._journal import read_journal
from llmguard_fallbacks._rules_file import read_rules
from llmguard_fallbacks.queue._spill import replay
from llmguard_fallbacks.weights._gguf import GGUFError, read_header

from ._bytes import Cut

__all__ = [
    "gguf_target",
    "journal_target",
    "lines_target",
    "lock_target",
    "rules_target",
    "signature_target",
    "spill_target",
]

_FIELDS: Final = Fields(stratum="slice", cluster="user")


@cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="llmguard-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def lock_target(data: bytes) -> None:
    """A lock is refused as a lock, or written again as the very same one."""
    for verify in (True, False):
        try:
            lock = from_text(data, verify=verify)
        except LockError as error:
            assert str(error)
            continue
        text = to_text(lock)
        again = from_text(text.encode())
        assert (lock.pins, lock.routes) == (again.pins, again.routes)
        assert text == to_text(again)
        assert isinstance(lock, Lock)


def journal_target(data: bytes) -> None:
    """A journal is read to its last whole line, or refused with the line's number."""
    try:
        journal = read_journal(_file("journal.jsonl", data))
    except ConfigError as error:
        assert str(error)
        return
    assert journal.size <= len(data)
    # What was read can be cut off behind its last whole line, and reads the same.
    again = read_journal(_file("journal.jsonl", data[: journal.size]))
    assert (len(journal.entries), journal.ended) == (len(again.entries), again.ended)


def lines_target(data: bytes) -> None:
    """Records, cases and recordings: each line is used or named, never a traceback."""
    cut = Cut(data)
    kind = cut.number(4)
    body = cut.rest()
    if kind == 0:
        with suppress(BadRecordError):
            row = Row(body, _FIELDS)
            _ = (row.sample, row.stratum, row.cluster, row.input, row.draw())
        return
    with suppress(ConfigError):
        if kind == 1:
            read_cases(_file("cases.jsonl", body))
        elif kind == 2:
            read_cases(_file("cases.csv", body))
        else:
            for records in read_records(_file("recording.jsonl", body)).values():
                for record in records:
                    reply_of(record, served="m")


def rules_target(data: bytes) -> None:
    """A rules file makes rules, or an error that names the file."""
    try:
        read_rules(_file("rules.toml", data))
    except ConfigError as error:
        assert "rules.toml" in str(error)


def gguf_target(data: bytes) -> None:
    """No header from a stranger costs more than its size, or goes unexplained."""
    path = _file("model.gguf", data)
    try:
        header = read_header(path)
    except GGUFError as error:
        assert "model.gguf" in str(error)
        return
    _ = (header.quantization, header.context_length, header.chat_template)
    assert header.parameters >= 0


def signature_target(data: bytes) -> None:
    """Whatever is pasted as a signature, it is one or it is none."""
    found = parse_signature(data.decode("utf-8", "replace"))
    assert found is None or isinstance(found, Blob)


@cache
def _store() -> Store:
    made = SqliteStore(_folder() / "store.db", synchronous="OFF")
    atexit.register(made.close)
    return made


def spill_target(data: bytes) -> None:
    """A spilled ticket is brought in or set aside; the others are not held up."""
    folder = _folder() / "spill"
    folder.mkdir(exist_ok=True)
    named = re.search(rb'"id": "([a-y0-9]{1,9})"', data)
    name = named[1].decode() if named else "a"
    (folder / f"{name}.json").write_bytes(data)
    good = {"id": "z", "queue": "q", "key": "z", "fingerprint": "z", "inputs": {}}
    (folder / "z.json").write_text(json.dumps(good))
    replay(_store(), folder)
    assert not list(folder.glob("*.json"))
    for left in folder.iterdir():
        left.unlink()
