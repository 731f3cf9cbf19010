"""Probes: what counts as a change, what is recorded, and who asks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard import config, pins
from llmguard.adapters._equality import equality
from llmguard.adapters.probes import probe
from llmguard.cli import cli
from llmguard.errors import ConfigError, StoreError
from llmguard.guard._probing import Prober
from llmguard.pins import Lock, Pin, ProbeRules, rules_of, to_text
from llmguard.pins.router import ROUTER
from llmguard.pins.routing import RoutingTable
from llmguard.store import RouteState, SqliteStore, open_store
from llmguard.testing import FakeModel, FaultServer

PROMPTS = ("Say a colour.", "Name a bird.")
RULES = ProbeRules(prompts=PROMPTS, draws=5)
SETTINGS = """
[tool.llmguard.routes.triage.probes]
prompts = ["Say a colour.", "Name a bird."]
draws = 5
every = "1h"
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """The configured store of a project whose route `triage` has probes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    Path("pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    config.reset()
    pins.forget()
    made = open_store()
    assert isinstance(made, SqliteStore)
    yield made
    made.close()
    config.reset()
    pins.forget()


def _pin(*replies: str) -> Pin:
    pin = FakeModel([*replies], name="fake").pin("triage")
    Path("models.lock").write_text(to_text(Lock().with_pin(pin)), encoding="utf-8")
    pins.forget()
    return pin


def _kinds(store: SqliteStore) -> list[str]:
    return [event.kind for event in store.events.list()]


_ANSWERS = st.lists(
    st.lists(st.text(max_size=12), min_size=3, max_size=6), min_size=1, max_size=3
)


@settings(max_examples=50, deadline=None)
@given(_ANSWERS)
def test_the_same_answers_are_no_change(answers: list[list[str]]) -> None:
    """No permutation is less different than a sample from itself."""
    assert equality(answers, answers, permutations=99) > 0.4


@settings(max_examples=50, deadline=None)
@given(_ANSWERS, st.integers(0, 9))
def test_the_same_samples_give_the_same_value(
    answers: list[list[str]], seed: int
) -> None:
    """It is reproducible, and a p-value."""
    others = [[f"{text}!" for text in mine] for mine in answers]
    first = equality(answers, others, seed=seed, permutations=49)
    assert first == equality(answers, others, seed=seed, permutations=49)
    assert 1 / 50 <= first <= 1


def test_a_model_that_says_something_else_is_found() -> None:
    """Ten answers each, all different: the least value there is."""
    before = [["red"] * 10, ["heron"] * 10]
    after = [["a nice red"] * 10, ["heron"] * 10]
    assert equality(before, after) < 0.01
    assert 1.0 == equality(before, before)


def test_false_alarms_are_as_rare_as_said() -> None:
    """Of 200 pairs of samples of one noisy model, about one in twenty is below 5 %."""
    chance = random.Random(5)

    def sample() -> list[list[str]]:
        return [[chance.choice(["yes", "no", "maybe so"]) for _ in range(6)]] * 1

    low = sum(
        equality(sample(), sample(), seed=n, permutations=99) <= 0.05
        for n in range(200)
    )
    assert low <= 22  # 0.2 % of all such tests have more, were the rate 5 %


def test_unlike_samples_are_refused() -> None:
    """Other prompts, or nothing to compare."""
    with pytest.raises(ValueError, match="shorter"):
        equality([["a", "b"]], [])
    with pytest.raises(ValueError, match="1 and 2 answers"):
        equality([["a"]], [["a", "b"]])


def test_a_baseline_then_the_same_then_a_change(store: SqliteStore) -> None:
    """Each is an event; a change is looked at twice."""
    pin = _pin("red", *["red"] * 9, *["red"] * 10, *["blue sky"] * 20, "blue sky")
    first = probe(store=store, pin=pin, rules=RULES, env="prod")
    assert ("baseline", 10, None) == (first.status, first.calls, first.p)
    same = probe(store=store, pin=pin, rules=RULES, env="prod")
    assert ("same", 10, 1.0) == (same.status, same.calls, same.p)
    assert first.baseline == same.baseline
    changed = probe(store=store, pin=pin, rules=RULES, env="prod")
    assert ("changed", 20) == (changed.status, changed.calls)
    assert changed.p is not None
    assert changed.p <= RULES.alpha
    assert ["probe.baseline", "probe.same", "probe.changed"] == _kinds(store)
    event = store.events.list(kind="probe.changed")[0]
    assert (pin.id, "triage", changed.p) == (event.pin, event.route, event.detail["p"])
    renewed = probe(store=store, pin=pin, rules=RULES, env="prod", renew=True)
    assert renewed.status == "baseline"
    assert renewed.baseline != first.baseline


def test_other_prompts_need_another_baseline(store: SqliteStore) -> None:
    """Answers to other questions cannot be compared."""
    pin = _pin("red")
    probe(store=store, pin=pin, rules=RULES, env="prod")
    other = ProbeRules(prompts=("Say a number.",), draws=5)
    assert "baseline" == probe(store=store, pin=pin, rules=other, env="prod").status


def test_a_model_that_does_not_answer(store: SqliteStore) -> None:
    """It is told, and nothing is recorded."""
    pin = Pin(route="triage", provider="replay", model="nothing.jsonl")
    found = probe(store=store, pin=pin, rules=RULES, env="prod")
    assert ("failed", ["probe.failed"]) == (found.status, _kinds(store))
    assert found.detail
    assert [] == list(store.list_evidence())


@pytest.mark.parametrize("fault", ["500", "401", "refused", "html"])
def test_a_provider_that_fails_is_a_probe_that_failed(
    fault: str, store: SqliteStore
) -> None:
    """Its SDK raises errors of its own; they are told by kind, and nothing else."""
    with FaultServer(fault) as server:
        pin = server.pin("triage")
        found = probe(store=store, pin=pin, rules=RULES, env="prod")
    assert ("failed", ["probe.failed"]) == (found.status, _kinds(store))
    assert found.detail.partition(":")[0] in {"auth", "transport"}
    assert [] == list(store.list_evidence())


def test_half_a_character_is_part_of_a_baseline(store: SqliteStore) -> None:
    """A model that cuts one in two can be compared with itself."""
    pin = _pin("cut \ud83d")
    assert "baseline" == probe(store=store, pin=pin, rules=RULES, env="prod").status
    assert "same" == probe(store=store, pin=pin, rules=RULES, env="prod").status


def test_a_store_that_fails_is_asked_again_in_the_same_hour(store: SqliteStore) -> None:
    """The probe that was due is not lost."""
    _pin("red")
    prober = Prober()
    store.close()
    with pytest.raises(StoreError):
        prober.look(store)
    again = open_store()
    prober.look(again)
    prober.join(30)
    kinds = [event.kind for event in again.events.list()]
    again.close()
    assert ["probe.started", "probe.baseline"] == kinds


def test_one_process_asks(store: SqliteStore) -> None:
    """Two keepers look again and again in one hour: one probe is made."""
    _pin("red")
    probers = [Prober(), Prober()]
    for _ in range(3):
        for prober in probers:
            prober.look(store)
            prober.join(30)
    assert ["probe.started", "probe.baseline"] == _kinds(store)


def test_the_canary_is_probed_too(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the ledger; routes that are unknown or have no schedule are passed over."""
    text = SETTINGS + "[tool.llmguard.routes.ghost.probes]\nprompts = ['x']\n"
    text += "[tool.llmguard.routes.other]\nunit = 'account'\n"
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    config.reset()
    lock = Lock()
    made = [FakeModel("red", name=name).pin("triage") for name in ("one", "two")]
    for pin in (*made, FakeModel("x").pin("other")):
        lock = lock.with_pin(pin)
    Path("models.lock").write_text(to_text(lock), encoding="utf-8")
    pins.forget()
    one, two = (pin.id for pin in made)
    state = RouteState(env="prod", route="triage", active=one, canary=(two, 500))
    table = RoutingTable(env="prod", routes={"triage": state})
    monkeypatch.setattr(ROUTER, "table", table)
    prober = Prober()
    for _ in range(3):
        prober.look(store)
        prober.join(30)
    assert [one, one, two, two] == [event.pin for event in store.events.list()]


def test_a_probe_that_breaks_harms_nobody(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even when it cannot tell; a failure is in the log."""
    prober = Prober()
    pin = Pin(
        route="triage", provider="replay", model="gone.jsonl", version_class="versioned"
    )
    Path("models.lock").write_text(to_text(Lock().with_pin(pin)), encoding="utf-8")
    pins.forget()
    prober.look(store)
    prober.join(30)
    assert "probe.failed" in caplog.text
    assert ["probe.started", "probe.failed"] == _kinds(store)


def test_no_lock_no_probe(store: SqliteStore) -> None:
    """A project in the making is left alone."""
    Prober().look(store)
    assert [] == _kinds(store)


def _run(*words: str) -> Any:
    return CliRunner().invoke(cli, ["pin", "probe", *words])


def test_the_command(store: SqliteStore) -> None:
    """By route or by pin; exit code 1 for a change."""
    pin = _pin(*["red"] * 20, *["blue sky"] * 40)
    first = _run("triage")
    assert (0, True) == (first.exit_code, "baseline recorded" in first.output)
    assert "no change is shown (p = 1; 2 prompts, 10 calls)" in _run(pin.id).output
    done = _run("triage", "--json")
    assert (1, "changed") == (done.exit_code, json.loads(done.output)["status"])
    printed = _run("triage")
    assert "it answers otherwise than its baseline, twice" in printed.output
    assert f"llmguard pin probe {pin.id} --renew" in printed.output
    assert 4 == len(store.events.list(kind="probe."))


def test_a_route_without_probes_is_told_how(store: SqliteStore) -> None:
    """The error is the table to write."""
    del store
    pin = FakeModel("x").pin("other")
    Path("models.lock").write_text(to_text(Lock().with_pin(pin)), encoding="utf-8")
    pins.forget()
    done = _run("other")
    assert 1 == done.exit_code
    assert "[tool.llmguard.routes.other.probes]" in done.output


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("probes = 3", "probes.*` is 3, not a table"),
        ("probes = { prompts = [] }", "`prompts` of .* is"),
        ("probes = { prompts = ['x'], draws = 4 }", "`draws` in .* is 4; give 5"),
        ("probes = { prompts = ['x'], alpha = 2 }", "`alpha` in .* is 2"),
        ("probes = { prompts = ['x'], every = 3 }", "`every` in .* is 3"),
        ("probes = { prompts = ['x'], each = 3 }", "unknown key 'each'"),
    ],
)
def test_wrong_settings_are_refused(
    store: SqliteStore, table: str, message: str
) -> None:
    """With the place and the repair."""
    del store
    Path("pyproject.toml").write_text(f"[tool.llmguard.routes.triage]\n{table}")
    config.reset()
    with pytest.raises(ConfigError, match=message):
        rules_of("triage")


def test_settings_are_read(store: SqliteStore) -> None:
    """Spans as people write them."""
    del store
    assert (
        ProbeRules(prompts=PROMPTS, draws=5, every=3_600.0) == rules_of("triage").probes
    )
