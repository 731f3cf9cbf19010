"""The constrained decoders under comparison, each behind the same three operations.

`compile` makes a schema ready for decoding, `generate` answers once, and `free` (ours
only) answers without a constraint. Whatever an engine raises is its refusal. Peers run
at their defaults but for the temperature and the number of tokens, which all share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final, cast

import numpy as np

from llmguard_fallbacks.local._decode import Constraint
from llmguard_fallbacks.local._engine import LlamaCppEngine
from llmguard_fallbacks.local._grammar import Grammar
from llmguard_fallbacks.local._job import FailedError, Job, Result
from llmguard_fallbacks.local._llama import LlamaContext, LlamaOptions
from llmguard_fallbacks.local._prepared import Prepared
from llmguard_fallbacks.local._sampling import Sampler, Sampling
from llmguard_fallbacks.local._tokenizer import grammar_tokenizer

__all__ = ["ENGINES"]

CONTEXT: Final = 2048
ROOM: Final = CONTEXT // 2
"""Tokens that an answer may have; what the survey gives every engine."""
Found = dict[str, Any]


def _timed(operation: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return operation(), time.process_time() - start


class Ours:
    """llmguard: finite schemas, llguidance, forced tokens fed in one batch."""

    def __init__(self, model: str) -> None:
        self._engine = LlamaCppEngine(LlamaOptions(path=model, n_ctx=CONTEXT))
        context = self._engine._context  # noqa: SLF001 - the vocabulary of the model
        self._tokenizer, vocabulary = _timed(lambda: grammar_tokenizer(context))
        version = metadata.version("llguidance")
        self.about = {"version": f"llguidance {version}", "vocabulary_s": vocabulary}

    def compile(self, schema: Any) -> Found:
        """Compile what the first draw of an answer needs."""
        grammar, seconds = _timed(lambda: self._ready(schema))
        later = sorted({u.keyword for u in grammar.finite.unenforced})
        return {"compile_s": seconds, "checked_later": later}

    def _ready(self, schema: Any) -> Grammar:
        prepared = Prepared(json.dumps(schema), tokens=self._engine.count_tokens)
        grammar = prepared.grammar(prepared.first())
        Constraint(self._tokenizer, grammar.text)
        need = prepared.need(ROOM)
        if need > ROOM:
            words = f"an answer takes about {need} tokens of {ROOM}"
            raise ValueError(f"the schema does not fit the context: {words}")
        return grammar

    def generate(self, schema: Any, prompt: str, **options: Any) -> Found:
        """Answer once; a failure that the caller would see becomes its own end."""
        try:
            found = self._answer(schema, prompt, **options)
        except FailedError as error:
            return {"finish": error.failure.kind.value, "why": str(error)[:300]}
        return {
            "finish": found.finish_reason,
            "text": found.text,
            "tokens": found.output_tokens,
            "forced": found.forced_tokens,
            "evaluations": found.evaluations,
            "draws": found.draws,
        }

    def free(self, prompt: str, **options: Any) -> Found:
        """Answer without a constraint."""
        return {"tokens": self._answer(None, prompt, **options).output_tokens}

    def _answer(self, schema: Any, prompt: str, **options: Any) -> Result:
        job = Job(
            messages=[{"role": "user", "content": prompt}], schema=schema, **options
        )
        *_, found = self._engine.generate(job, halt=lambda: "")
        return cast("Result", found)


class _Stock:
    """`llama_cpp.Llama` as shipped, with its evaluations counted."""

    def __init__(self, model: str) -> None:
        import llama_cpp

        self._api = llama_cpp
        self._llama = llama_cpp.Llama(
            model_path=model,
            n_ctx=CONTEXT,
            n_threads=1,
            n_threads_batch=1,
            verbose=False,
        )
        self._evaluations = 0
        self._last: Any = None
        context: Any = self._llama._ctx  # noqa: SLF001 - counted where all of them pass
        context.decode = self._counted(context.decode)

    def _counted(self, decode: Callable[[Any], None]) -> Callable[[Any], None]:
        def counted(batch: Any) -> None:
            self._evaluations += 1
            decode(batch)

        return counted

    @contextmanager
    def _counting(self) -> Iterator[Found]:
        before = self._evaluations
        found: Found = {}
        yield found
        usage, choice = self._last["usage"], self._last["choices"][0]
        found |= {
            "text": choice["message"]["content"],
            "finish": choice["finish_reason"],
            "tokens": usage["completion_tokens"],
            "evaluations": self._evaluations - before,
        }


class LlamaGrammar(_Stock):
    """llama.cpp's grammar, through llama-cpp-python's converter from JSON Schema."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        version = metadata.version("llama-cpp-python")
        self.about = {"version": f"llama-cpp-python {version}"}

    def compile(self, schema: Any) -> Found:
        """Convert, and let llama.cpp read the result."""
        _, seconds = _timed(lambda: self._ready(json.dumps(schema)))
        return {"compile_s": seconds}

    def _ready(self, schema: str) -> Any:
        grammar: Any = self._api.LlamaGrammar.from_json_schema(schema, verbose=False)
        vocab = self._llama._model.vocab  # noqa: SLF001 - as its sampler does
        texts = (grammar._grammar.encode(), grammar._root.encode())  # noqa: SLF001 - the same
        sampler = self._api.llama_sampler_init_grammar(vocab, *texts)
        if not sampler:
            raise ValueError("llama.cpp cannot read the grammar (decoding would crash)")
        self._api.llama_sampler_free(sampler)
        return grammar

    def generate(self, schema: Any, prompt: str, **options: Any) -> Found:
        """Answer one chat completion with the grammar."""
        grammar = self._ready(json.dumps(schema))
        with self._counting() as found:
            self._last = self._llama.create_chat_completion(
                [{"role": "user", "content": prompt}], grammar=grammar, **options
            )
        return found


class Outlines(_Stock):
    """Outlines over llama-cpp-python, with its default backend outlines_core."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        import outlines
        from outlines.backends.outlines_core import OutlinesCoreBackend

        self._model: Any = outlines.from_llamacpp(self._llama)
        self._backend, vocabulary = _timed(lambda: OutlinesCoreBackend(self._model))
        answer = self._llama.create_chat_completion
        setattr(self._llama, "create_chat_completion", self._kept(answer))  # noqa: B010 - watched for `finish_reason`
        self._processor = lru_cache(maxsize=1)(
            self._backend.get_json_schema_logits_processor
        )
        names = ("outlines", "outlines_core")
        self.about = {
            "version": ", ".join(f"{n} {metadata.version(n)}" for n in names),
            "vocabulary_s": vocabulary,
            "compile_only": _missing("numba"),
        }

    def _kept(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        def kept(*args: Any, **options: Any) -> Any:
            self._last = answer(*args, **options)
            return self._last

        return kept

    def compile(self, schema: Any) -> Found:
        """Build the index alone; the vocabulary is ready."""
        build = self._backend.get_json_schema_logits_processor
        _, seconds = _timed(lambda: build(json.dumps(schema)))
        return {"compile_s": seconds}

    def generate(self, schema: Any, prompt: str, **options: Any) -> Found:
        """Answer once, with an index that is kept while the schema is the same."""
        from outlines.generator import SteerableGenerator

        processor = self._processor(json.dumps(schema))
        generator = SteerableGenerator.from_processor(self._model, processor)
        with self._counting() as found:
            generator(prompt, **options)
        return found


class XGrammar:
    """xgrammar in a plain loop over llama.cpp: no library joins the two.

    White space is fixed, which suits models of random weights better than its default.
    """

    def __init__(self, model: str) -> None:
        import xgrammar  # type: ignore[import-not-found,unused-ignore] # a peer

        self._api: Any = xgrammar
        self._context = LlamaContext(LlamaOptions(path=model, n_ctx=CONTEXT))
        self._compiler, vocabulary = _timed(self._make_compiler)
        self._ready = lru_cache(maxsize=1)(self._compile)
        version = metadata.version("xgrammar")
        self.about = {"version": f"xgrammar {version}", "vocabulary_s": vocabulary}

    def _make_compiler(self) -> Any:
        context = self._context
        tokens = [context.piece(i) for i in range(context.n_vocab)]
        info = self._api.TokenizerInfo(
            tokens,
            vocab_type=self._api.VocabType.RAW,
            stop_token_ids=[i for i in range(context.n_vocab) if context.ends(i)],
        )
        return self._api.GrammarCompiler(info, max_threads=1, cache_enabled=False)

    def _compile(self, schema: str) -> Any:
        return self._compiler.compile_json_schema(schema, any_whitespace=False)

    def compile(self, schema: Any) -> Found:
        """Compile the grammar and its token masks."""
        _, seconds = _timed(lambda: self._compile(json.dumps(schema)))
        return {"compile_s": seconds}

    def generate(
        self,
        schema: Any,
        prompt: str,
        *,
        seed: int,
        temperature: float,
        max_tokens: int,
    ) -> Found:
        """Answer once, one evaluation a token."""
        matcher = self._api.GrammarMatcher(self._ready(json.dumps(schema)))
        bits = self._api.allocate_token_bitmask(1, self._context.n_vocab)
        sampler = Sampler(Sampling(temperature=temperature, seed=seed))
        before, drawn = self._context.evaluations, list[bytes]()
        tokens = self._context.tokenize(prompt, special=False)
        pending = tokens[self._context.rewind(tokens) :]
        finish = "length"
        while len(drawn) < max_tokens:
            logits = self._context.evaluate(pending, stop=lambda: False)
            matcher.fill_next_token_bitmask(bits)
            mask = np.unpackbits(bits.numpy().view(np.uint8)[0], bitorder="little")
            allowed = np.flatnonzero(mask[: len(logits)])
            token, _ = sampler.pick(logits, allowed)
            if not matcher.accept_token(token) or matcher.is_terminated():
                finish = "stop"
                break
            drawn.append(self._context.piece(token))
            pending = [token]
        return {
            "text": b"".join(drawn).decode(errors="replace"),
            "finish": finish,
            "tokens": len(drawn),
            "evaluations": self._context.evaluations - before,
        }


def _missing(name: str) -> str:
    """Return why only compiling can be measured; empty when decoding can be, too."""
    try:
        __import__(name)
    except ImportError:
        return f"without {name} it decodes unconstrained text"
    return ""


ENGINES: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "llmguard": Ours,
        "outlines_core": Outlines,
        "llama.cpp grammar": LlamaGrammar,
        "xgrammar": XGrammar,
    }
)
