"""Make `refusal_weights.json` anew, and say how it does on texts it did not see."""

from __future__ import annotations

import sys
from pathlib import Path

from ...contract import is_refusal
from .._refusal_model import WEIGHTS, RefusalModel
from ._texts import PROBES, Text, read_texts
from ._train import cross_validate, train


def main() -> None:
    """Train, write the weights beside the package's modules, print the figures."""
    texts = read_texts()
    scored = cross_validate(texts)
    _print("lexicon", [(each, float(is_refusal(each.text))) for each in texts])
    _print("model, 5-fold", scored)
    model = train(texts)
    probes = read_texts(PROBES)
    found = sum(model.judge(each.text)[0] >= 1 / 2 for each in probes)
    sys.stdout.write(f"deflections found: {found} of {len(probes)}\n")
    _write(model)


def _print(name: str, scored: list[tuple[Text, float]]) -> None:
    for kind in sorted({each.kind for each, _ in scored}):
        mine = [(each, p) for each, p in scored if each.kind == kind]
        found = sum(p >= 1 / 2 for _, p in mine)
        sys.stdout.write(f"{name}: {kind}: {found} of {len(mine)} found\n")


def _write(model: RefusalModel) -> None:
    path = Path(__file__).parent.parent / WEIGHTS
    path.write_text(model.to_json(), encoding="utf-8")
    sys.stdout.write(f"{path.name}: {len(model.weights)} weights\n")


if __name__ == "__main__":
    main()
