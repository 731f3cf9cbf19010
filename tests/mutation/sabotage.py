"""Take the defences of `docs/security.md` away, one by one, and see their tests fail.

Usage: python tests/mutation/sabotage.py [WORD ...]

WORDs choose by parts of a test's name. A copy of the tree is changed, never the tree
itself. Exit code: 0 every test failed without its defence, 1 some did not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 90
"""Seconds for a test; a pattern that explodes would go on for ever, which counts."""
CONSOLE: Final = "fallbacks/llmguard_fallbacks/console"
DEFENCES: Final = (
    (
        "llmguard/contract/_parse.py",
        "RecursionError) as error:\n        return _explain(error, text)",
        "TypeError) as error:\n        return _explain(error, text)",
        "tests/security/test_hostile_text.py::test_answers_that_are_bombs",
    ),
    (
        "llmguard/contract/_parse.py",
        'raise _NotJSONError(f"must be JSON, which has no',
        'return None\n    raise _NotJSONError(f"must be JSON, which has no',
        (
            "tests/contract/test_parse_modes.py"
            "::test_raw_refuses_what_readers_would_not_agree_on"
        ),
    ),
    (
        f"{CONSOLE}/_console.py",
        "autoescape=True",
        "autoescape=False",
        "tests/console/test_console_shield.py::test_what_tickets_hold_stays_text",
    ),
    (
        f"{CONSOLE}/_console.py",
        "autoescape=True",
        "autoescape=False",
        "tests/console/test_console_fuzz.py::test_whatever_is_asked",
    ),
    (
        f"{CONSOLE}/_shield.py",
        "style-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "tests/console/test_console_shield.py::test_the_policy_lets_nothing_in",
    ),
    (
        "fallbacks/llmguard_fallbacks/queue/_text.py",
        "if one.isprintable() or one in",
        "if True or one in",
        (
            "tests/security/test_hostile_text.py"
            "::test_a_reviewers_terminal_is_only_written_to"
        ),
    ),
    (
        "llmguard/adapters/_prompt_engines.py",
        "sandbox.ImmutableSandboxedEnvironment(",
        "sandbox.Environment(",
        "tests/security/test_hostile_text.py::test_jinja_templates_reach_into_nothing",
    ),
    (
        "llmguard/_linear.py",
        "return _nested(_parsed(pattern), within=False, choices=True)",
        "return False",
        "tests/security/test_hostile_text.py::test_patterns_that_explode_do_not",
    ),
    (
        "llmguard/store/_ticket_answers.py",
        "violations = answer_violations(ticket.schema, value)",
        "violations = ()",
        (
            "tests/security/test_secrets_and_paths.py"
            "::test_a_reviewer_gives_nothing_that_the_contract_refuses"
        ),
    ),
    (
        f"{CONSOLE}/_visit.py",
        "if not same_origin(request) or not",
        "if not",
        "tests/console/test_console_shield.py::test_forms_of_other_sites_do_nothing",
    ),
    (
        f"{CONSOLE}/_visit.py",
        "if scope and not principal.may(scope)",
        "if False",
        "tests/console/test_console_door.py::test_scopes_are_kept_apart",
    ),
    (
        f"{CONSOLE}/_login.py",
        "wait = console.logins.wait(address)",
        "wait = 0",
        "tests/console/test_console_door.py::test_guessing_is_slowed_down",
    ),
    (
        f"{CONSOLE}/_bearers.py",
        "if not wait:",
        "if True:",
        "tests/console/test_console_bearers.py::test_wrong_tokens_are_slowed_down",
    ),
    (
        "llmguard/promotion/_approvals.py",
        "if any(same_person(who, author) for author in authors)",
        "if False",
        ("tests/promotion/test_promotion_approvals.py::test_the_author_does_not_count"),
    ),
    (
        "llmguard/pins/_read.py",
        "if self.verify and (stored != pin.digest or key != pin.id)",
        "if False",
        (
            "tests/security/test_secrets_and_paths.py"
            "::test_every_edit_of_a_lock_is_noticed"
        ),
    ),
    (
        "llmguard/store/_ledger_check.py",
        'wanted = {"prev_hash": self.hash, **_derived(before, row)}',
        "wanted = {}",
        "tests/store/test_ledger_rows.py",
    ),
    (
        "llmguard/adapters/served.py",
        'or (pin.model,)) else "mismatch"',
        'or (pin.model,)) else "match"',
        "tests/faults/test_fault_table.py::test_a_plain_call_ends_as_declared",
    ),
    (
        "llmguard/monitor/alerts/_post.py",
        "return parsed.is_global and not parsed.is_multicast",
        "return True",
        "tests/alerts/test_webhook.py::test_inner_addresses_are_refused",
    ),
    (
        "llmguard/monitor/alerts/_post.py",
        "return parsed.is_global and not parsed.is_multicast",
        "return True",
        "tests/queue/test_callbacks.py::test_addresses_that_lead_inside",
    ),
    (
        "llmguard/telemetry/otel/_spans.py",
        "if kit.capture.in_spans and self._start.model",
        "if self._start.model",
        "tests/telemetry/test_otel.py::test_content_is_opt_in",
    ),
    (
        "fallbacks/llmguard_fallbacks/serve/_settings.py",
        "if not token and not is_loopback(host)",
        "if False",
        (
            "tests/serve/test_serve_limits.py"
            "::test_no_listening_beyond_loopback_without_a_token"
        ),
    ),
    (
        "llmguard/contract/_parse.py",
        "import json\n",
        "import json\nimport pickle\n",
        "tests/security/test_sources_and_sockets.py::test_nothing_read_is_run",
    ),
)


def _copy(folder: Path) -> None:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in done.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def fails(folder: Path, file: str, old: str, new: str, test: str) -> bool:
    """Change a file, run a test, change it back; tell whether the test failed."""
    path = folder / file
    source = path.read_text()
    if source.count(old) != 1:
        raise ValueError(f"{file} has {old!r} {source.count(old)} times; once it must")
    path.write_text(source.replace(old, new))
    places = (folder, folder / "fallbacks", folder / "models")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test,
             "-m", "not slow"],
            cwd=folder, env=env, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(source)
    if done.returncode not in {0, 1}:
        raise ValueError(f"{test}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode == 1


def main() -> int:
    """Try each defence; return the exit code."""
    words = sys.argv[1:]
    idle = []
    with tempfile.TemporaryDirectory(prefix="llmguard-sabotage-") as place:
        folder = Path(place)
        _copy(folder)
        for file, old, new, test in DEFENCES:
            if words and not any(word in test for word in words):
                continue
            failed = fails(folder, file, old, new, test)
            print(f"{'fails' if failed else 'DOES NOT FAIL'}: {test}", flush=True)
            idle += [] if failed else [test]
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
