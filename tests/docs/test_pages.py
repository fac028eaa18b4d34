"""Pages hang together: links, pictures, the table of contents and the names of the Python reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
PICTURES = sorted((ROOT / "docs" / "img").glob("*.png"))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        if "://" not in link:
            assert (PAGES[name].parent / link).exists(), link


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/api/")])
def test_reference_names_modules(name: str) -> None:
    for module in re.findall(r"^::: (\S+)$", PAGES[name].read_text(encoding="utf-8"), re.M):
        importlib.import_module(module)


def test_table_of_contents_is_complete() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < 300 * 1024
    assert any(f"img/{picture.name}" in page.read_text(encoding="utf-8") for page in PAGES.values())


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
