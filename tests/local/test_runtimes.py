"""Which build of llama.cpp a pin runs on."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from llmguard.errors import ConfigError, TierUnavailableError
from llmguard.pins import Pin
from llmguard_fallbacks.local import provider
from llmguard_fallbacks.local._options import read_options
from llmguard_fallbacks.local._runtime import choose_runtime
from llmguard_fallbacks.local._xllama import bind, check_layout


def having(*modules: str) -> Any:
    """Return what tells that just these modules are installed."""
    return lambda module: module in modules


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        (("llama_cpp",), "llama-cpp-python"),
        (("xllamacpp",), "xllamacpp"),
        (("xllamacpp", "llama_cpp"), "llama-cpp-python"),
    ],
)
def test_the_runtime_that_is_installed_is_chosen(
    installed: tuple[str, ...], chosen: str
) -> None:
    """With both, the compiled one is taken."""
    assert chosen == choose_runtime(installed=having(*installed))


def test_a_pinned_runtime_is_never_exchanged() -> None:
    """Another build would be another version of the tier."""
    assert "xllamacpp" == choose_runtime(
        "xllamacpp", installed=having("llama_cpp", "xllamacpp")
    )
    with pytest.raises(ConfigError, match=r"fallbacks\[xllamacpp\]"):
        choose_runtime("xllamacpp", installed=having("llama_cpp"))


def test_without_a_runtime_both_ways_are_named() -> None:
    """The message says how to install either, and what the first one needs."""
    with pytest.raises(ConfigError, match="compiler") as caught:
        choose_runtime(installed=having())
    for extra in ("[llamacpp]", "[xllamacpp]"):
        assert extra in str(caught.value)


def test_an_unknown_runtime_is_refused_when_the_pin_is_read() -> None:
    """A misspelt runtime fails before anything is loaded."""
    with pytest.raises(ConfigError, match="not 'vllm'"):
        read_options({"runtime": "vllm"})
    assert "xllamacpp" == read_options({"runtime": "xllamacpp"}).runtime


def test_a_missing_runtime_is_a_skipped_tier(monkeypatch: Any) -> None:
    """The chain moves on at once, and the reason says what to install."""
    found = provider(Pin(route="r", provider="llama.cpp", model="absent.gguf"))
    for module in ("llama_cpp", "xllamacpp"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TierUnavailableError, match="pip install") as caught:
        found.warm()
    assert "skipped" == caught.value.kind.value


def test_a_module_without_the_functions_is_refused() -> None:
    """A wheel that hides llama.cpp's functions is no engine; the reason is given."""
    import _ctypes

    with pytest.raises(ConfigError, match="does not export"):
        bind(_ctypes.__file__)


def parameters(**context: int) -> Any:
    """Return functions that give these defaults."""
    given = {"n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1}
    layers = context.pop("n_gpu_layers", -1)
    return types.SimpleNamespace(
        llama_context_default_params=lambda: types.SimpleNamespace(**given | context),
        llama_model_default_params=lambda: types.SimpleNamespace(n_gpu_layers=layers),
    )


@pytest.mark.parametrize("changed", ["n_ctx", "n_batch", "n_seq_max", "n_gpu_layers"])
def test_another_layout_is_refused(changed: str) -> None:
    """A release that moved a field is not given numbers in the wrong places."""
    check_layout(parameters())
    with pytest.raises(ConfigError, match="another way"):
        check_layout(parameters(**{changed: 7}))
