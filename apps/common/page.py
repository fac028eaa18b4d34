"""A self-contained HTML page: light plain style, pictures inside as base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p.sub { color: #667; margin-top: 0; }
table { border-collapse: collapse; margin: .6rem 0; }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid #e6e8eb; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.ours { font-weight: 600; background: #f3f7fb; }
img { max-width: 100%; }
figure { margin: .5rem 0; }
figcaption, .note { color: #556; font-size: .9rem; }
"""


def document(title: str, subtitle: str, parts: Sequence[str]) -> str:
    """The page; `parts` are pieces of HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n'
        f'<h1>{escape(title)}</h1>\n<p class="sub">{escape(subtitle)}</p>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """A section's title."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A note in small print."""
    return f'<p class="note">{escape(text)}</p>'


def link(target: str, text: str) -> str:
    """A link on a line of its own."""
    return f'<p><a href="{escape(target, quote=True)}">{escape(text)}</a></p>'


def picture(data: bytes, caption: str) -> str:
    """A PNG with its caption."""
    code = base64.b64encode(data).decode("ascii")
    text = escape(caption, quote=True)
    image = f'<img alt="{text}" src="data:image/png;base64,{code}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def slider(frames: Sequence[tuple[str, bytes]], start: int, caption: str) -> str:
    """Labelled pictures (PNG), of which a slider shows one: that numbered `start` at first, and without scripts."""
    code = [base64.b64encode(data).decode("ascii") for _, data in frames]
    text = escape(caption, quote=True)
    images = "".join(
        f'<img alt="{escape(label, quote=True)}" src="data:image/png;base64,{png}"{"" if k == start else " hidden"}>'
        for k, ((label, _), png) in enumerate(zip(frames, code, strict=True))
    )
    show = (
        "const f=this.closest('figure'),k=+this.value;f.querySelectorAll('img').forEach((e,i)=>e.hidden=i!=k);"
        "f.querySelector('output').value=f.querySelectorAll('img')[k].alt"
    )
    control = (
        f'<input type="range" min="0" max="{len(frames) - 1}" value="{start}" aria-label="{text}" oninput="{show}"> '
        f"<output>{escape(frames[start][0])}</output>"
    )
    return f"<figure>{control}<br>{images}<figcaption>{text}</figcaption></figure>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[int] = ()) -> str:
    """A table whose columns after the first are numbers; rows in `marked` stand out."""

    def row(cells: Sequence[str], tag: str, style: str = "") -> str:
        inner = "".join(
            f"<{tag}{' class=n' if k and len(cells) > 2 else ''}>{escape(c)}</{tag}>" for k, c in enumerate(cells)
        )
        return f"<tr{style}>{inner}</tr>"

    head = row(header, "th") if header else ""
    body = "".join(row(cells, "td", ' class="ours"' if k in marked else "") for k, cells in enumerate(rows))
    return f"<table>{head}{body}</table>"
