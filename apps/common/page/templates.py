"""The templates of pages: files in the folder `templates`, which escape every text that they are given."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.storage import json_text

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **given: Any) -> str:
    """The template `name` filled in; text is escaped, what `trusted` returns is not."""
    return str(_environment().get_template(name).render(**given))


def trusted(html: str) -> str:
    """HTML of the house, which a template takes as it is."""
    from markupsafe import Markup

    return Markup(html)


@cache
def asset(name: str) -> str:
    """A script or style of the folder `templates`, as the page holds it."""
    return trusted((_HERE / "templates" / name).read_text(encoding="utf-8"))


@cache
def vendored(name: str) -> bytes:
    """A file of the folder `vendor`."""
    return (_HERE / "vendor" / name).read_bytes()


def script_data(value: Any) -> str:
    """JSON that may stand inside of a `<script>`: nothing in it ends the element."""
    return trusted(json_text(value, separators=(",", ":")).replace("<", "\\u003c"))


def text_of(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")
