"""The documentation site: `nox -s docs` builds it, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from llmguard import __version__

project = "llmguard"
copyright = "The llmguard maintainers; Apache-2.0"  # noqa: A001 - Sphinx's name
release = version = __version__

extensions = [
    "llmguard_docs",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_ext", "_static"]
default_role = "code"  # docstrings put code in single backticks
nitpicky = True
nitpick_ignore = [
    # Annotations under `TYPE_CHECKING` are bare names, and the build knows no other
    # project's site to look them up in.
    ("py:class", "LoggerProvider"),  # opentelemetry
    ("py:class", "MeterProvider"),
    ("py:class", "TracerProvider"),
    ("py:class", "Redis"),
    ("py:class", "WSGIApplication"),  # _typeshed
    ("py:class", "WSGIEnvironment"),
    # Private types that a public signature names and nobody has to make.
    ("py:class", "LocalProvider"),
    ("py:class", "Watch"),
]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_docstring_signature = False  # Python's own docstrings look like signatures
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields are listed once, under their class

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "llmguard"
html_static_path = ["_static"]
html_show_sourcelink = False
