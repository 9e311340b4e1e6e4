"""Mail bodies: a view to HTML by a template.

Pure but for reading template files. Owns escaping, inlining of styles and the limit on size.
Must not decide what is told, or know MIME. Its libraries are large: whoever may never write a
mail imports it when one is to be written.
"""

from __future__ import annotations

import traceback
from functools import cache
from pathlib import Path

import css_inline
import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from watcher.errors import ConfigError
from watcher.model import Value
from watcher.plain import render_text
from watcher.sample import sample_views
from watcher.view import View, without_summaries, without_weakest

HTML_LIMIT = 98_000
"""Bytes of HTML: a large mail provider hides what goes beyond 102 KB."""

_FAULTS = (
    jinja2.TemplateError,
    css_inline.InlineError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a person's template can raise."""

_KIND_CLASSES = {"Rising": "rising", "New": "new", "Resurging": "resurging"}


class Body(Value, frozen=True, kw_only=True):
    """Both halves of a mail; they tell the same papers."""

    text: str
    html: str
    view: View
    """What is really told, after cutting."""


def kind_class(kind: str) -> str:
    """The CSS class of a kind of change; templates call it."""
    return _KIND_CLASSES.get(kind, "bloomer")


def render(view: View, template: Path | None = None) -> Body:
    """The HTML under ``HTML_LIMIT`` bytes and the text that says the same.

    What is too long loses first the papers' summaries, then its weakest papers, which are
    counted. A template of one's own that fails is replaced by ours, and the mail says so.
    """
    try:
        return _fitted(view, _template(template))
    except (*_FAULTS, OSError) as exc:
        if template is None:
            raise
        note = f"The template {template.name} failed ({_short(exc)}); this is the built-in one."
        return _fitted(_with_note(view, note), _template(None))


def _with_note(view: View, note: str) -> View:
    return msgspec.structs.replace(view, footer=(*view.footer, note))


def _fitted(view: View, template: jinja2.Template) -> Body:
    html = _html(view, template)
    if len(html.encode()) > HTML_LIMIT:
        view = without_summaries(view)
        html = _html(view, template)
    while (size := len(html.encode())) > HTML_LIMIT and view.entries:
        surplus = 1 - 0.98 * HTML_LIMIT / size
        view = without_weakest(view, max(1, int(len(view.entries) * surplus)))
        html = _html(view, template)
    return Body(text=render_text(view), html=html, view=view)


def _html(view: View, template: jinja2.Template) -> str:
    return _inliner().inline(template.render(mail=view))


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False, minify_css=True)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.PackageLoader("watcher", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["kind_class"] = kind_class
    return environment


def _template(path: Path | None) -> jinja2.Template:
    if path is None:
        return _environment().get_template("mail.html.j2")
    return _own_template(path.read_text(encoding="utf-8"))


@cache
def _own_template(source: str) -> jinja2.Template:
    return _environment().from_string(source)


def check_template(path: Path) -> None:
    """Try a template of one's own on a full and on an empty mail.

    Raises ``ConfigError`` with file, line and fault when it cannot be used.
    """
    try:
        template = _template(path)
        for view in sample_views():
            _html(view, template)
    except OSError as exc:
        raise ConfigError(f"template {path}: cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"template {path}: is not UTF-8 text") from exc
    except jinja2.TemplateSyntaxError as exc:
        raise ConfigError(f"template {path}, line {exc.lineno}: {exc.message}") from exc
    except _FAULTS as exc:
        raise ConfigError(f"template {path}{_line(exc)}: {_short(exc)}") from exc


def _line(exc: Exception) -> str:
    """Where in a template of one's own it went wrong; jinja lays its lines over the traceback."""
    frames = traceback.extract_tb(exc.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    return f", line {lines[-1]}" if lines else ""


def _short(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
