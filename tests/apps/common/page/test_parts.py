"""Parts of a page: what is given is escaped, tables are labelled, and nothing is asked of a network."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from mvnet.apps.common import page
from mvnet.apps.common.page.templates import vendored
from tests.apps.browser import AXE, opened, serious

EVIL = "<script>alert('&\"')</script>"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


def document(text: str) -> str:
    parts = [
        page.heading(text),
        page.paragraph(text),
        page.link(text, text),
        page.picture(PIXEL, text),
        page.slider([(text, PIXEL), ("second", PIXEL)], 0, text),
        page.table((text, "b", "c"), [(text, "1", "2"), ("d", "3", "4")], [1], caption=text),
        page.table((), [(text, text)]),
    ]
    return page.document(text, text, parts)


def test_text_is_escaped() -> None:
    html = document(EVIL)
    assert "<script>" not in html and html.count("&lt;script&gt;") >= 15
    assert not re.search(r"""=\s*"[^"]*<script""", html)


def test_data_for_scripts_do_not_end_the_element() -> None:
    data = page.script_data({"name": "</script><b>"})
    assert "<" not in data and json.loads(data) == {"name": "</script><b>"}


def test_tables_are_labelled() -> None:
    html = page.table(("name", "one", "two"), [("a", "1", "2")], caption="Counts")
    assert "<caption>Counts</caption>" in html
    assert html.count('scope="col"') == 3 and html.count('scope="row"') == 1 and html.count("<td class=n>") == 2


@pytest.mark.parametrize("folder", [Path(page.__file__).parent / "vendor", AXE.parent])
def test_vendored_files_are_those_the_readme_tells(folder: Path) -> None:
    told = re.findall(r"\| `([\w.]+)` \|.*`([0-9a-f]{64})`", (folder / "README.md").read_text())
    assert told and [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name, _ in told] == [
        d for _, d in told
    ]
    assert vendored("niivue.umd.js").startswith(b"(function")


def test_a_page_in_the_browser(browser, tmp_path) -> None:
    """No violation by day and by night; the slider moves by the keyboard; a script that asks a network is stopped."""
    path = tmp_path / "page.html"
    path.write_text(document("Fields & <angles>"), encoding="utf-8")
    for scheme in ("light", "dark"):
        with opened(browser, path, color_scheme=scheme) as tab:
            assert serious(tab) == []
            tab.locator("input[type=range]").focus()
            tab.keyboard.press("ArrowRight")
            assert tab.locator("output").inner_text() == "second"
            assert tab.locator("figure img:visible").last.get_attribute("alt") == "second"
    blocked = "fetch('data:text/plain,x').then(() => 'reached', () => 'blocked')"
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(path.as_uri())
    assert tab.evaluate(blocked) == "blocked"
    context.close()


def test_without_scripts_and_on_paper(browser, tmp_path) -> None:
    path = tmp_path / "page.html"
    parts = ['<div class="viewer scripted" hidden>tool</div><div class="still">picture</div>']
    path.write_text(page.document("a", "b", parts), encoding="utf-8")
    with opened(browser, path, java_script_enabled=False) as tab:
        assert tab.locator(".still").is_visible()
    with opened(browser, path) as tab:
        assert not tab.locator(".still").is_visible()
        tab.emulate_media(media="print")
        assert tab.locator(".still").is_visible()
