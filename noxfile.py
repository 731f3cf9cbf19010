# /// script
# dependencies = ["nox>=2024.10"]
# ///
"""Every check of the project: `nox` runs what a change must pass, `nox -l` lists all.

llama-cpp-python comes as source only and takes minutes to build, so one wheel is built
into `wheelhouse/` and every environment installs that one.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "typing", "build", "docs", "tests"]

ROOT = Path(__file__).parent
WHEELHOUSE = ROOT / "wheelhouse"
LLAMA = "llama-cpp-python==0.3.36"
PYTHONS = ["3.11", "3.12", "3.13"]
MEMBERS = (
    "-e",
    ".[jinja,language,monitor,openai,otel,postgres,redis,sentiment,suite]",
    "-e",
    "./fallbacks[llamacpp,xllamacpp]",
    "-e",
    "./models",
)
FRAMEWORKS = {
    "oldest": (
        "django==4.2.*",
        "fastapi==0.110.*",
        "flask==2.3.*",
        "httpx<0.28",
        "litestar==2.12.*",
        "pydantic==2.7.*",
        "werkzeug<3",
    ),
    "newest": ("django", "fastapi", "flask", "litestar", "pydantic", "starlette"),
}
"""Web frameworks and pydantic, at both ends of what is supported."""
OPENAI = {"2": "openai>=2,<3", "3": "openai>=3,<4"}
TOUCHED = ("adapters", "contract", "faults", "guard", "web")
"""Folders of tests that meet a framework, pydantic or the SDK."""
MILD = (
    "-W",
    "ignore::DeprecationWarning",
    "-W",
    "ignore:Unclosed <MemoryObject:ResourceWarning",
)
UNTOUCHED = {"dask", "gguf", "huggingface_hub", "outlines", "tokenizers"}
"""What only other tests need, most of it heavy."""
NEWCOMER = (
    "llmguard_toolkit[openai,suite]",
    "llmguard_fallbacks[llamacpp]",
    "llmguard_models",
)
"""What a newcomer installs, as in the README's first command."""
FLOOR = 94
"""Percent of lines and branches; `docs/mutation.md` says what was measured."""
PORTABLE = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF"


def _group(name: str) -> list[str]:
    """Return the requirements of a dependency group (pip before 25.1 knows none)."""
    return list(
        nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)
    )


def _name(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0]


def _wheel(session: nox.Session) -> None:
    """Build the llama-cpp-python wheel once; a portable one, for any AVX2 machine."""
    if not list(WHEELHOUSE.glob("llama_cpp_python-*.whl")):
        session.log("building %s once; this takes about five minutes", LLAMA)
        env = {"CMAKE_ARGS": os.environ.get("CMAKE_ARGS", PORTABLE)}
        session.run(
            "python",
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "-w",
            str(WHEELHOUSE),
            LLAMA,
            env=env,
        )


def _install(session: nox.Session, *groups: str) -> None:
    _wheel(session)
    wanted = [requirement for group in groups for requirement in _group(group)]
    session.install("--find-links", str(WHEELHOUSE), *MEMBERS, LLAMA, *wanted)


@nox.session(python=PYTHONS[0])
def tests(session: nox.Session) -> None:
    """Run the test suite; arguments go to pytest, such as `-- -m slow`."""
    _install(session, "test")
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", "not slow"]))


@nox.session(python=PYTHONS[1:])
def compat(session: nox.Session) -> None:
    """Run the test suite on the newer Pythons."""
    _install(session, "test")
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", "not slow"]))


@nox.session(python=PYTHONS, venv_backend="uv|venv")
@nox.parametrize("openai", list(OPENAI))
@nox.parametrize("frameworks", list(FRAMEWORKS))
def matrix(session: nox.Session, frameworks: str, openai: str) -> None:
    """Run what meets a framework, pydantic or the SDK, at both ends of each."""
    chosen = [*FRAMEWORKS[frameworks], OPENAI[openai]]
    if session.python == "3.13":  # pydantic 2.8 is the first that it can run
        chosen = [one.replace("pydantic==2.7.*", "pydantic==2.8.*") for one in chosen]
    apart = UNTOUCHED | {_name(one) for one in chosen}
    chosen += [one for one in _group("test") if _name(one) not in apart]
    extras = ".[jinja,openai,otel,postgres,redis,suite]"
    session.install("-e", extras, "-e", "./fallbacks", *chosen)
    folders = [f"tests/{name}" for name in TOUCHED]
    options = session.posargs or ["-m", "not slow and not gguf"]
    if frameworks == "oldest":  # they use what today's anyio deprecates or warns of
        options = [*MILD, *options]
    session.run("python", "-m", "pytest", *folders, *options)


@nox.session(python=PYTHONS[0])
def coverage(session: nox.Session) -> None:
    """Print branch coverage of the packages; less than the floor fails."""
    _install(session, "test")
    chosen = session.posargs or ["-m", "not slow"]
    session.run("coverage", "run", "-m", "pytest", *chosen)
    floor = [] if session.posargs else [f"--fail-under={FLOOR}"]
    session.run("coverage", "report", "--skip-covered", "--show-missing", *floor)


@nox.session(python=PYTHONS[0])
def lint(session: nox.Session) -> None:
    """Check style, formatting, import layers and file sizes."""
    session.install(*_group("lint"), "-e", ".", "-e", "./fallbacks", "-e", "./models")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session(python=PYTHONS[0])
def typing(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict."""
    _install(session, "typing", "test")
    session.run("mypy")
    session.run("mypy", "tests/typing")
    session.run("pyright")


@nox.session(python=PYTHONS[0])
def examples(session: nox.Session) -> None:
    """Run every example and every documented snippet."""
    _install(session, "test")
    session.run("python", "-m", "pytest", "tests/docs", *session.posargs)


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """Build the site into `build/docs` and run its doctests; warnings are errors."""
    members = [re.sub(r"^(./fallbacks)\[.*", r"\1", part) for part in MEMBERS]
    session.install(*members, *_group("docs"))
    strict = ("-W", "-n", "--keep-going", "-q", "-d", "build/doctrees")
    for builder, folder in (("html", "build/docs"), ("doctest", "build/doctest")):
        session.run("python", "-m", "sphinx", *strict, "-b", builder, "docs", folder)


@nox.session(python=PYTHONS[0])
def build(session: nox.Session) -> None:
    """Build the three wheels and try them in an environment of their own."""
    session.install("build", "hatchling")
    for member in (".", "fallbacks", "models"):
        session.run(
            "python", "-m", "build", "--no-isolation", "--wheel", "-o", "dist", member
        )
    session.run("python", "tests/check_wheels.py", "dist")


def _clean(session: nox.Session) -> None:
    """Install the built wheels where no source tree is, and run what they are for."""
    _wheel(session)
    found = [path.name.partition("-")[0] for path in (ROOT / "dist").glob("*.whl")]
    if sorted(found) != sorted(one.partition("[")[0] for one in NEWCOMER):
        session.error("build the three wheels first: `nox -s build`")
    links = ("--find-links", str(ROOT / "dist"), "--find-links", str(WHEELHOUSE))
    session.install(*links, *NEWCOMER, LLAMA)
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("llmguard", "demo")
        for verb in ("status", "doctor"):  # 1: people have tickets to answer
            session.run("llmguard", verb, success_codes=[0, 1])


@nox.session(python=PYTHONS, venv_backend="venv")
def clean_pip(session: nox.Session) -> None:
    """Try the built wheels on a clean machine, as pip installs them."""
    _clean(session)


@nox.session(python=PYTHONS, venv_backend="uv")
def clean_uv(session: nox.Session) -> None:
    """Try the built wheels on a clean machine, as uv installs them."""
    _clean(session)


@nox.session(python=PYTHONS[0])
def bench(session: nox.Session) -> None:
    """Run every benchmark, keep results, write the page; `-- --only NAME` for one."""
    _install(session, "test")
    session.run("python", "benchmarks/run_all.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def campaign(session: nox.Session) -> None:
    """Do to llmguard what machines do, and print what was lost: nothing, or a bug."""
    _install(session, "test", "proof")
    session.run("python", "tests/campaign/campaign.py", *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def mutate(session: nox.Session) -> None:
    """Mutate what decides, and print how many mutants the tests kill."""
    _install(session, "test", "proof")
    session.run("python", "tests/mutation/mutate.py", *session.posargs)


def _judge(session: nox.Session, audited: list[dict[str, Any]]) -> None:
    """Fail if a version is known to be vulnerable, and name them all."""
    found = [(one, each) for one in audited for each in one.get("vulns", ())]
    for one, each in found:
        cure = ", ".join(each.get("fix_versions", ())) or "no version yet"
        line = "%s %s: %s, mended in %s"
        session.log(line, one["name"], one["version"], each["id"], cure)
    if found:
        session.error(f"{len(found)} known vulnerabilities in {len(audited)} versions")
    session.log("%d pinned versions, none known to be vulnerable", len(audited))


@nox.session(python=PYTHONS[0], default=False)
def sabotage(session: nox.Session) -> None:
    """Take the defences of the security page away, and see their tests fail."""
    _install(session, "test")
    session.run("python", "tests/mutation/sabotage.py", *session.posargs)


@nox.session(python=PYTHONS[0], default=False)
def audit(session: nox.Session) -> None:
    """Ask whether a pinned version is known to be vulnerable; needs the network."""
    session.install("pip-audit>=2.7")
    report = ROOT / "dist" / "audit.json"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    words = ["--strict", "--disable-pip", "--no-deps", *session.posargs]
    words += ["--format", "json", "--output", str(report)]
    pins = "requirements/all.txt"
    session.run("pip-audit", "-r", pins, *words, success_codes=[0, 1])
    if not report.exists():  # it writes nothing unless every version was looked up
        session.error(
            "NOTHING WAS AUDITED: the advisory service could not be asked about every "
            "pinned version, for the reason above. This is no pass; run it where the "
            "service can be reached"
        )
    _judge(session, json.loads(report.read_text("utf-8"))["dependencies"])


@nox.session(python=PYTHONS[0], default=False)
def sbom(session: nox.Session) -> None:
    """Write a CycloneDX bill of the pinned versions to `dist/sbom.json`."""
    session.install("cyclonedx-bom>=4.5")
    (ROOT / "dist").mkdir(exist_ok=True)
    words = ["--of", "JSON", "--output-reproducible", "-o", "dist/sbom.json"]
    session.run("cyclonedx-py", "requirements", "requirements/all.txt", *words)


@nox.session(python=PYTHONS[0])
def fuzz(session: nox.Session) -> None:
    """Fuzz what reads strangers' bytes; `-- TARGET --seconds N` for one, for longer."""
    _install(session, "test", "proof")
    session.run("python", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def demo(session: nox.Session) -> None:
    """Run the demo."""
    _install(session)
    session.run("llmguard", "demo", *session.posargs)


@nox.session(venv_backend="none", default=False)
def lock(session: nox.Session) -> None:
    """Resolve everything again: `uv.lock`, and its hashes in `requirements/`."""
    session.run("uv", "lock", "--upgrade", external=True)
    session.run(
        "uv",
        "export",
        "--all-packages",
        "--all-extras",
        "--all-groups",
        "--frozen",
        "--no-emit-workspace",
        "--no-header",
        "-q",
        "-o",
        "requirements/all.txt",
        external=True,
    )
