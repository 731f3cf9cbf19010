"""Approvals: who, of what, until when; each way to cheat has its own refusal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmguard import pins
from llmguard.errors import ConfigError
from llmguard.promotion import (
    ApprovalError,
    GatesNotPassedError,
    PromotionError,
    approve,
    resume,
    rollback,
)
from llmguard.promotion._approve import request_document
from llmguard.promotion._asking import make_request
from llmguard.promotion._signers import read_signers, same_person
from llmguard.promotion._sshsig import parse_signature, sign
from llmguard.promotion._statement import NAMESPACE, approval_text

pytestmark = pytest.mark.usefixtures("ssh_keygen")
DAY = 86_400.0
Project = Any  # of conftest.py
Told = Callable[[pytest.ExceptionInfo[Any], str], str]
TWO = "[tool.llmguard.gates]\nsuite = false\n[tool.llmguard.gates.active]\n"


@pytest.fixture
def guarded(project: Project) -> Project:
    """Ask for two approvals; bob, cy and dee may give them."""
    project.gates(TWO + "approvals = { need = 2 }")
    for name in ("bob", "cy", "dee"):
        project.person(name, options=f'namespaces="{NAMESPACE}"')
    return project


def refused(project: Project, told: Told, **fields: Any) -> str:
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new, **fields)
    return told(caught, "approvals")


def forge(project: Project, name: str, **changes: Any) -> None:
    """Change what an approval file says, and leave the signature as it was."""
    for path in (project.folder / "approvals").glob(f"*{name}@*.json"):
        document = json.loads(path.read_text())
        document["approval"].update(changes)
        path.write_text(json.dumps(document))


def resigned(
    project: Project, name: str, namespace: str = NAMESPACE, **changes: Any
) -> None:
    """Write an approval with changes and sign it anew, as its owner could."""
    for path in (project.folder / "approvals").glob(f"*{name}@*.json"):
        body = json.loads(path.read_text())["approval"] | changes
        key = project.people[name]
        signature = sign(approval_text(body), key=key, namespace=namespace)
        path.write_text(json.dumps({"approval": body, "signature": signature}))


def only_files(project: Project) -> dict[str, Any]:
    """Approve without a store: by a request file."""
    request = make_request(
        store=project.store,
        env="prod",
        route="triage",
        pin=project.new.id,
        to="active",
        now=project.clock.time(),
    )
    file = project.folder / "request.json"
    file.write_text(json.dumps(request_document(request, ())))
    return {"store": None, "statement": file}


def test_two_of_three(guarded: Project, refuses: Told) -> None:
    """One is not enough, two are; both are kept in the ledger."""
    told = refused(guarded, refuses)
    assert told.startswith("unknown: 0 of 2")
    assert f"llmguard approve {guarded.new.id} --to active" in told
    given = guarded.approve("bob", guarded.new)
    assert given.path.is_file()
    assert "unknown: 1 of 2 (bob@example.com)" in refused(guarded, refuses)
    guarded.approve("cy", guarded.new)
    last = guarded.promote(guarded.new).entries[-1]
    kept = [one["approval"]["approver"] for one in last.approvals]
    assert ["bob@example.com", "cy@example.com"] == kept
    assert guarded.store.ledger.verify().ok


def test_the_store_alone_is_enough(guarded: Project) -> None:
    """Approvals need no shared files..."""
    guarded.approve("bob", guarded.new, write=False)
    guarded.approve("cy", guarded.new, write=False)
    assert not (guarded.folder / "approvals").exists()
    assert guarded.promote(guarded.new).changed


def test_files_alone_are_enough(guarded: Project) -> None:
    """... and no shared store: a request goes out, files come back."""
    given = only_files(guarded)
    for name in ("bob", "cy"):
        done = guarded.approve(name, guarded.new, **given)
        assert "" == done.digest
    assert [] == list(guarded.store.list_evidence())
    assert guarded.promote(guarded.new).changed


def test_a_request_about_another_lock(guarded: Project) -> None:
    """Who approves has to look at the same pin."""
    given = only_files(guarded)
    guarded.allow(replace(guarded.new, owner="other"))
    with pytest.raises(PromotionError, match="the request says `pin_digest`"):
        guarded.approve("bob", guarded.new, **given)
    given["statement"].write_text("{}")
    with pytest.raises(ConfigError, match="no request for approval"):
        guarded.approve("bob", guarded.new, **given)
    with pytest.raises(ConfigError, match="give a request file"):
        approve(store=None, key=guarded.people["bob"])


def test_the_author_does_not_count(guarded: Project, refuses: Told) -> None:
    """Who promotes cannot approve, by whatever form of the name."""
    guarded.approve("bob", guarded.new)
    guarded.approve("cy", guarded.new)
    told = refused(guarded, refuses, actor="bob")
    assert "fail: 1 of 2" in told
    assert "(author): 'bob@example.com' asks for this promotion" in told


def test_the_author_of_the_lock_does_not_count(guarded: Project) -> None:
    """Git says who put the pin there; the approver learns it at once."""

    def git(*words: str) -> None:
        who = ("-c", "user.name=Dee", "-c", "user.email=dee@example.com")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "models.lock")
    git("commit", "-q", "-m", "Add")
    with pytest.raises(ApprovalError, match="put the pin into the lock") as caught:
        guarded.approve("dee", guarded.new)
    assert "author" == caught.value.refusal.kind
    assert guarded.approve("bob", guarded.new).path.is_file()


def test_a_forged_approval(guarded: Project, refuses: Told) -> None:
    """Changed after it was signed."""
    guarded.approve("bob", guarded.new, to="canary", write=True)
    guarded.store.close()
    (guarded.folder / "s.db").unlink()
    guarded.store = type(guarded.store)(guarded.folder / "s.db", clock=guarded.clock)
    forge(guarded, "bob", to="active", weight=None)
    told = refused(guarded, refuses)
    assert "'bob@example.com' does not count (forged)" in told


def test_signed_by_somebody_else(guarded: Project, refuses: Told) -> None:
    """Cy's key cannot sign as bob."""
    guarded.approve("bob", guarded.new, **only_files(guarded))
    guarded.people["bob"] = guarded.people["cy"]
    resigned(guarded, "bob")
    told = refused(guarded, refuses)
    assert "(unknown-signer): 'bob@example.com' is signed with a key of some" in told


def test_a_stranger(guarded: Project) -> None:
    """A key that the file does not have approves nothing."""
    guarded.person("eve", allowed=False)
    with pytest.raises(ApprovalError, match="no signer with the key"):
        guarded.approve("eve", guarded.new)
    with pytest.raises(ApprovalError, match="'eve' is no allowed signer"):
        guarded.approve("eve", guarded.new, approver="eve")


def test_a_replayed_approval(guarded: Project, refuses: Told) -> None:
    """Used once, it says nothing about the next time."""
    for name in ("bob", "cy"):
        guarded.approve(name, guarded.new)
    guarded.promote(guarded.new)
    rollback(store=guarded.store, route="triage", env="prod", actor="ann")
    guarded.gates(
        TWO + "approvals = { need = 2 }\n[tool.llmguard.gates.resume]\n"
        "approvals = false"
    )
    resume(
        store=guarded.store,
        route="triage",
        pin=guarded.new.id,
        env="prod",
        actor="ann",
        reason="again",
    )
    told = refused(guarded, refuses)
    assert "(replayed): it was given at revision 0 of the route" in told


def test_resuming_asks_for_the_approvals_of_active(
    guarded: Project, refuses: Told
) -> None:
    """A quarantine is not lifted by one person where a promotion needs two."""
    for name in ("bob", "cy"):
        guarded.approve(name, guarded.new)
    guarded.promote(guarded.new)
    rollback(store=guarded.store, route="triage", env="prod", actor="ann")
    given = {"store": guarded.store, "route": "triage", "env": "prod"}
    given |= {"pin": guarded.new.id, "actor": "ann", "reason": "repaired"}
    given |= {"now": guarded.clock.time()}
    with pytest.raises(GatesNotPassedError) as caught:
        resume(**given)
    assert "--to resume" in refuses(caught, "approvals")
    for name in ("bob", "cy"):
        guarded.approve(name, guarded.new, to="resume")
    entry = resume(**given).entries[-1]
    assert 2 == len(entry.approvals)


def test_any_change_voids_it(guarded: Project, refuses: Told) -> None:
    """A new owner in the lock is another pin than the one approved."""
    guarded.approve("bob", guarded.new)
    guarded.allow(replace(guarded.new, owner="other"))
    pins.forget()
    assert "(void): `pin_digest` changed since" in refused(guarded, refuses)


def test_new_evidence_voids_it(project: Project, refuses: Told) -> None:
    """Approved was what the suite said then."""
    project.gates("[tool.llmguard.gates.active]\napprovals = { need = 1 }")
    project.person("bob")
    project.evidence(project.new, at=project.clock.time() - 60)
    project.approve("bob", project.new)
    project.evidence(project.new)
    assert "(void): `evidence` changed since" in refused(project, refuses)


@pytest.mark.parametrize("change", [{"env": "dev"}, {"to": "canary", "weight": 500}])
def test_for_something_else(
    guarded: Project, refuses: Told, change: dict[str, Any]
) -> None:
    """Another environment or target is not this one."""
    guarded.approve("bob", guarded.new, **change)
    assert "(foreign): it approves `" in refused(guarded, refuses)


def test_expired(guarded: Project, refuses: Told) -> None:
    """After a week it no longer holds, whatever it says itself."""
    guarded.approve("bob", guarded.new, **only_files(guarded))
    resigned(guarded, "bob", expires=int(guarded.clock.time() + 90 * DAY))
    guarded.clock.advance(8 * DAY)
    assert "(expired): it is 8.0 days old" in refused(guarded, refuses)
    resigned(guarded, "bob", at=int(guarded.clock.time() + DAY))
    assert "(expired): it is dated in the future" in refused(guarded, refuses)
    for never in ("never", True, float("nan"), float("inf")):
        resigned(guarded, "bob", expires=never, at=int(guarded.clock.time()))
        told = refused(guarded, refuses)
        assert "(unreadable): it does not say since and until when" in told


def test_a_key_that_is_no_longer_valid(project: Project) -> None:
    """`valid-before` of the file is obeyed."""
    project.gates(TWO + "approvals = true")
    project.person("bob", options='valid-before="20200101"')
    with pytest.raises(ApprovalError, match="not valid now") as caught:
        project.approve("bob", project.new)
    assert "expired" == caught.value.refusal.kind


def test_a_revoked_key(guarded: Project, refuses: Told) -> None:
    """What it signed before no longer counts either."""
    guarded.approve("bob", guarded.new)
    public = guarded.people["bob"].with_name("bob.pub")
    (guarded.folder / "revoked_signers").write_text(public.read_text())
    told = refused(guarded, refuses)
    assert "(revoked): its key is revoked in 'revoked_signers'" in told


def test_the_wrong_namespace(guarded: Project, refuses: Told) -> None:
    """A signature made for git is none for a promotion."""
    guarded.approve("bob", guarded.new, **only_files(guarded))
    resigned(guarded, "bob", namespace="git")
    assert "(wrong-namespace): it was signed for 'git'" in refused(guarded, refuses)


def test_a_certificate_is_no_key(guarded: Project) -> None:
    """One key may have any number of them, so they cannot tell two people apart."""
    key, authority = guarded.people["bob"], guarded.person("ca", allowed=False)
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", "bob"]
    subprocess.run([*words, f"{key}.pub"], check=True)
    guarded.people["bob"] = key.with_name("bob-cert.pub")
    with pytest.raises(ApprovalError, match="signed with a certificate"):
        guarded.approve("bob", guarded.new, approver="bob@example.com")


def test_one_key_is_one_person(guarded: Project, refuses: Told) -> None:
    """Two names with one key count once."""
    guarded.allow_key("robert@example.com", guarded.people["bob"])
    guarded.approve("bob", guarded.new)
    guarded.approve("bob", guarded.new, approver="robert@example.com")
    told = refused(guarded, refuses)
    assert "fail: 1 of 2" in told
    assert "(same-key)" in told


def test_only_those_who_are_asked(project: Project) -> None:
    """`from` names whose word counts."""
    project.gates(TWO + 'approvals = { need = 1, from = ["cy@example.com"] }')
    for name in ("bob", "cy"):
        project.person(name)
    with pytest.raises(ApprovalError, match=r"is not one of cy@example\.com"):
        project.approve("bob", project.new)
    project.approve("cy", project.new)
    assert project.promote(project.new).changed


def test_garbage_is_no_approval(guarded: Project, refuses: Told) -> None:
    """Files that are none are passed over; a broken signature is named."""
    guarded.approve("bob", guarded.new, **only_files(guarded))
    (guarded.folder / "approvals" / "note.json").write_text("not JSON")
    (guarded.folder / "approvals" / "other.json").write_text("{}")
    for path in (guarded.folder / "approvals").glob("*bob@*.json"):
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"signature": "nonsense"}))
    assert "(unreadable): its signature is no SSH" in refused(guarded, refuses)


def test_a_comment_in_another_encoding_costs_no_signer(tmp_path: Path) -> None:
    """ssh-keygen reads such a file, too."""
    file = tmp_path / "allowed_signers"
    file.write_bytes(b"# J\xfcrgen\njo@example.com ssh-ed25519 AAAA\n")
    assert [("jo@example.com",)] == [one.principals for one in read_signers(file)]


def test_without_a_file_of_signers(project: Project, refuses: Told) -> None:
    """The command that starts one is printed."""
    project.gates(TWO + "approvals = true")
    told = refused(project, refuses)
    assert "unknown: there is no file of allowed signers" in told
    assert ">> allowed_signers" in told


def test_force_does_not_pass_approvals(guarded: Project) -> None:
    """Unless somebody wrote that it may."""
    guarded.gates(TWO + "approvals = { need = 2 }\nforce = true")
    with pytest.raises(GatesNotPassedError):
        guarded.promote(guarded.new, force="hurry")
    guarded.gates(TWO + 'approvals = { need = 2 }\nforce = ["approvals"]')
    entry = guarded.promote(guarded.new, force="hurry").entries[-1]
    assert "forced past approvals: hurry" == entry.reason


def test_a_key_that_is_none(guarded: Project, tmp_path: Path) -> None:
    """The message says how to make one."""
    guarded.people["bob"] = tmp_path / "missing"
    with pytest.raises(PromotionError, match=r"no SSH key that can"):
        guarded.approve("bob", guarded.new)


def test_names(tmp_path: Path) -> None:
    """In doubt two names are one person; lines that are none are skipped."""
    assert same_person("Ann", "ann@example.com")
    assert not same_person("ann@a.com", "ann@b.com")
    assert not same_person("", "")
    file = tmp_path / "allowed"
    file.write_text('# no\nann ssh-ed25519\nann "x ssh-ed25519 %%\na ssh-rsa !!\n')
    assert () == read_signers(file) == read_signers(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    ["", "-----BEGIN SSH SIGNATURE-----\n!!\n-----END SSH SIGNATURE-----"]
    + [
        f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----"
        for body in ("", "AAAA", "U1NIU0lHAAAAAQAAADM=")
    ],
)
def test_what_is_no_signature(text: str) -> None:
    """Damage is found before anybody is asked."""
    assert parse_signature(text) is None
