"""The page, and its plain parts: headings, paragraphs, links, pictures, tables."""

from __future__ import annotations

from collections.abc import Sequence

from mvnet.apps.common.page.templates import asset, render, text_of, trusted


def document(title: str, subtitle: str, parts: Sequence[str]) -> str:
    """The page; `parts` are pieces of HTML."""
    inside = [trusted(part) for part in parts]
    return render("document.html", title=title, subtitle=subtitle, parts=inside, style=asset("style.css"))


def heading(text: str) -> str:
    """A section's title."""
    return render("text.html", kind="h2", text=text)


def paragraph(text: str) -> str:
    """A note in small print."""
    return render("text.html", kind="p", text=text)


def link(target: str, text: str) -> str:
    """A link on a line of its own."""
    return render("text.html", kind="a", text=text, target=target)


def picture(data: bytes, caption: str) -> str:
    """A PNG with its caption."""
    return render("picture.html", data=text_of(data), caption=caption)


def figure(html: str, caption: str) -> str:
    """A piece of HTML with a caption."""
    return render("figure.html", html=trusted(html), caption=caption)


def slider(frames: Sequence[tuple[str, bytes]], start: int, caption: str) -> str:
    """Labelled pictures (PNG), of which a slider shows one: that numbered `start` at first, and without scripts."""
    shown = [(label, text_of(data)) for label, data in frames]
    return render("slider.html", frames=shown, start=start, caption=caption)


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[int] = (), *, caption: str = ""
) -> str:
    """A table whose columns after the first are numbers; rows in `marked` stand out, `caption` says what it holds."""
    return render("table.html", header=header, rows=rows, marked=set(marked), caption=caption)
