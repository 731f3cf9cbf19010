"""What `llmguard experiment` declares, and how it compares arms."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from llmguard import config, pins
from llmguard.cli import cli
from llmguard.errors import ConfigError
from llmguard.pins import Lock, Pin, to_text
from llmguard.promotion.experiments import compare_arms, quantile
from llmguard.store import (
    Action,
    ArmRow,
    ExposureRow,
    NewEntry,
    SqliteStore,
    open_store,
)
from llmguard.suite._prices import Price, Prices
from llmguard.suite.stats import wilson
from llmguard.telemetry.traffic import latency_bin

ONE = Pin(route="triage", provider="openai", model="gpt-5-2025-08-07")
TWO = Pin(route="triage", provider="openai", model="gpt-4.1-2025-04-14")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """The configured store of a project with one route of two pins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("LLMGUARD_ACTOR", "ann")
    lock = Lock().with_pin(ONE).with_pin(TWO)
    Path("models.lock").write_text(to_text(lock), encoding="utf-8")
    config.reset()
    pins.forget()
    made = open_store()
    assert isinstance(made, SqliteStore)
    yield made
    made.close()
    config.reset()
    pins.forget()


def _run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["experiment", *words])


def _json(*words: str) -> Any:
    done = _run(*words, "--json")
    assert 0 == done.exit_code, done.output
    return json.loads(done.output)


def _rows(arm: str, pin: Pin, **measures: int | tuple[int, float]) -> list[ArmRow]:
    found: list[ArmRow] = []
    for name, value in measures.items():
        n, total = value if isinstance(value, tuple) else (value, 0.0)
        found.append(
            ArmRow(
                env="prod",
                experiment="tone",
                arm=arm,
                pin=pin.id,
                measure=name.replace("__", ":"),
                n=n,
                total=total,
                at=7_200.0,
            )
        )
    return found


def _start(*words: str) -> Result:
    arms = ("--arm", "control=active:50%", "--arm", f"short={TWO.id}:30%")
    return _run("start", "tone", "--route", "triage", *arms, *words)


def test_a_declaration_is_made_changed_and_stopped(store: SqliteStore) -> None:
    """Each change is a row with who and why."""
    assert 0 == _start("--reason", "shorter answers").exit_code
    wider = ("--arm", "control=active:50%", "--arm", f"short={TWO.id}:0.5")
    assert 0 == _run("start", "tone", *wider).exit_code
    assert 0 == _run("stop", "tone", "--actor", "bob").exit_code
    found = _json("list", "tone")
    assert [
        (1, True, 3_000, "ann", "shorter answers"),
        (2, True, 5_000, "ann", ""),
        (3, False, 5_000, "bob", ""),
    ] == [
        (o["version"], o["running"], o["arms"][1]["weight"], o["actor"], o["reason"])
        for o in found
    ]
    assert ["tone"] == [one["name"] for one in _json("list")]
    assert "stopped  control 50 % active, short 50 %" in _run("list").output
    assert 3 == store.experiments.rev()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("start", "x", "--arm", "a=active:1%"), "is new: say `--route`"),
        (("start", "x", "--arm", "a"), "'a' is no arm; write NAME=PIN:SHARE"),
        (("start", "x", "--arm", "a=active:2"), "no share of the calls"),
        (("start", "x", "--route", "y", "--arm", "a=active:1%"), "no route 'y'"),
        (
            ("start", "x", "--route", "triage", "--arm", "a=p-0:1%"),
            "does not allow pin 'p-0'",
        ),
        (
            ("start", "x", "--route", "triage", "--arm", "a=active:1%"),
            "compares at least two",
        ),
        (("stop", "x"), "no experiment 'x' in environment 'prod'"),
        (("report", "x"), "met an experiment 'x'"),
    ],
)
def test_wrong_uses_are_explained(
    store: SqliteStore, words: tuple[str, ...], message: str
) -> None:
    """With what to write instead."""
    del store
    done = _run(*words)
    assert done.exit_code in {1, 2}
    assert message in " ".join(done.output.split())


def test_a_running_rival_is_named(store: SqliteStore) -> None:
    """One experiment runs on a route."""
    del store
    _start()
    done = _run(
        *("start", "length", "--route", "triage"),
        *("--arm", "a=active:50%", "--arm", "b=active:50%"),
    )
    assert 1 == done.exit_code
    assert "llmguard experiment stop tone" in done.output


def test_arms_are_compared(store: SqliteStore) -> None:
    """Rates, latency, tokens, cost, corrections, each with an interval."""
    _start()
    fast, slow = f"latency__{latency_bin(0.1)}", f"latency__{latency_bin(0.4)}"
    tokens = {
        "input_tokens": (100, 1_000.0),
        "input_tokens_sq": (100, 12_500.0),
        "output_tokens": (100, 500.0),
        "output_tokens_sq": (100, 2_500.0),
    }
    store.traffic.add_arms(
        _rows(
            "control",
            ONE,
            calls=1_000,
            valid=950,
            invalid=50,
            answered=940,
            corrected=20,
            **{fast: 1_000},
            **tokens,
        )
        + _rows(
            "short",
            TWO,
            calls=600,
            valid=480,
            invalid=100,
            answered=470,
            diverted=15,
            failed=5,
            **{fast: 200, slow: 380},
        )
    )
    prices = Prices(models={ONE.model: Price(input=2.0, output=8.0)})
    found = compare_arms(
        store=store,
        env="prod",
        name="tone",
        prices=prices,
        pins={pin.id: pin for pin in (ONE, TWO)},
    )
    control, short = found.arms
    assert ("control", "short") == (control.arm, short.arm)
    assert control.valid is not None
    assert (0.95, *wilson(950, 1_000), 1_000) == (
        control.valid.value,
        control.valid.low,
        control.valid.high,
        control.valid.n,
    )
    assert (15, 5, None) == (short.diverted, short.failed, short.cost)
    assert control.cost is not None
    assert math.isclose((2.0 * 10 + 8.0 * 5) / 1e6, control.cost.value)
    half = 1.959963984540054 * math.sqrt(25 / 100)
    assert math.isclose((2.0 * (10 - half) + 40) / 1e6, control.cost.low)
    assert short.p50 is not None
    assert short.p50.low <= 0.4 <= short.p50.high
    assert control.corrected is not None
    assert 20 / 940 == control.corrected.value
    [against] = found.comparisons
    assert ("short", "control") == (against.arm, against.base)
    assert against.valid is not None
    assert math.isclose(480 / 580 - 0.95, against.valid.value)
    assert against.valid.low < against.valid.value < against.valid.high < 0
    [note] = found.notes
    assert "turned 15 calls away" in note
    printed = _run("report", "tone").output
    assert "control  1000   0      95.0% (93.5% to 96.2%)" in printed
    assert "short against control: valid -12.24%" in printed
    assert "lower" in printed


def test_few_calls_say_little(store: SqliteStore) -> None:
    """An arm nobody met is shown all the same; nothing is made up."""
    _start()
    store.traffic.add_arms(_rows("control", ONE, calls=3, valid=3))
    store.traffic.add_exposures(
        [
            ExposureRow(
                env="prod",
                experiment="tone",
                unit="00ff",
                arm=arm,
                pin=ONE.id,
                rev=1,
                first_at=7_200.0,
                last_at=7_200.0,
                n=1,
            )
            for arm in ("control", "short")
        ]
    )
    found = _json("report", "tone")
    assert [3, 0] == [arm["calls"] for arm in found["arms"]]
    assert [1, 1] == [arm["units"] for arm in found["arms"]]
    assert [None, None] == [arm["corrected"] for arm in found["arms"]]
    assert found["comparisons"][0]["valid"] is None
    assert [
        "control: 3 judged answers say little; let it run",
        "short: 0 judged answers say little; let it run",
    ] == found["notes"][:2]
    assert "1 units met more than one arm" in found["notes"][2]
    assert "too little is known" in _run("report", "tone").output


def test_a_canary_is_compared_by_its_route(store: SqliteStore) -> None:
    """With the calls that it did not take; two incumbents are told apart."""
    for pin, action, weight in (
        (ONE, Action.PROMOTE, None),
        (TWO, Action.CANDIDATE, None),
        (TWO, Action.CANARY, 500),
    ):
        store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=pin.id,
                action=action,
                weight=weight,
                base_rev=store.ledger.route_state("prod", "triage").rev,
                actor="ann",
            )
        )
    name = f"canary:{TWO.id}"
    rows = _rows("active", ONE, calls=900, valid=900)
    rows += _rows("active", TWO, calls=1, valid=1)
    rows += _rows("canary", TWO, calls=100, valid=99, invalid=1)
    store.traffic.add_arms([replace(row, experiment=name) for row in rows])
    found = _json("report", "triage")
    assert (name, ["active", "canary"]) == (
        found["name"],
        [arm["arm"] for arm in found["arms"]],
    )
    assert "active: 2 pins answered for it" in found["notes"][0]


@given(
    st.lists(st.floats(1e-4, 100.0), min_size=1, max_size=300),
    st.sampled_from([0.5, 0.95]),
)
def test_a_quantile_is_inside_its_interval(
    latencies: list[float], share: float
) -> None:
    """The sample's own quantile is, to the width of a bin."""
    bins = Counter(latency_bin(one) for one in latencies)
    found = quantile(bins, share, 0.95)
    own = sorted(latencies)[max(0, math.ceil(len(latencies) * share) - 1)]
    assert found.low <= own * (1 + 1e-9)
    assert own <= found.high * (1 + 1e-9)
    assert found.low <= found.value <= found.high
    assert len(latencies) == found.n


def test_a_confidence_is_a_share(store: SqliteStore) -> None:
    """Percent are a typing error."""
    with pytest.raises(ConfigError, match="`confidence` is 95"):
        compare_arms(store=store, env="prod", name="tone", confidence=95)
