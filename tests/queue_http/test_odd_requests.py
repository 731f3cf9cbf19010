"""What no sane program sends is refused by name, never a failure of the console."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

Program = Callable[..., TestClient]
HALF = '"\\ud800"'


@pytest.mark.parametrize(
    "after",
    [
        '["w",99999999999999999999,null,"x"]',
        '["w",0,99999999999999999999,"x"]',
        '["w",0,NaN,"x"]',
        '["c",Infinity,"x"]',
        f'["c",1.0,{HALF}]',
        f'["w",0,null,{HALF}]',
        '["w",true,null,"x"]',
        '["w",0,"x"]',
        '["c",null,"x"]',
        '["w",0,null,1]',
        "[" * 5_000,
        "{}",
        "[]",
        "[[]]",
    ],
)
def test_what_no_page_ended_with(program: Program, after: str) -> None:
    """A cursor is text from outside, whatever it looks like."""
    found = program().get(f"/queue/tickets?after={quote(after)}")
    assert (400, "refused") == (found.status_code, found.json()["code"])


@pytest.mark.parametrize(
    "after", ['["w",0,null,"x"]', '["w",-5,1e3,"x"]', '["c",7,""]']
)
def test_what_a_page_may_have_ended_with(program: Program, after: str) -> None:
    """The ticket itself may be gone."""
    assert 200 == program().get(f"/queue/tickets?after={quote(after)}").status_code


def test_half_a_character_is_no_text(program: Program, ask: Callable[..., str]) -> None:
    """A column cannot hold it; the field is named, and nothing has happened."""
    ann, ticket = program(), ask()
    json = {"content-type": "application/json"}
    for path, field in (
        (f"tickets/{ticket}/reject", "reason"),
        (f"tickets/{ticket}/assign", "to"),
        ("claim", "queue"),
    ):
        body = f'{{"{field}": {HALF}}}'
        found = ann.post(f"/queue/{path}", content=body, headers=json)
        assert 422 == found.status_code
        assert f"/{field}" == found.json()["errors"][0]["path"]
    assert "open" == ann.get(f"/queue/tickets/{ticket}").json()["state"]
