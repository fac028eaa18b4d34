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


def _exists(name: str) -> bool:
    """Whether a dotted name is that of a module, or of something in one."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(importlib.import_module(name))
    except ImportError:
        return False


def test_map_of_the_paper_names_every_equation_and_what_exists() -> None:
    text = PAGES["docs/reference/paper.md"].read_text(encoding="utf-8")
    section = text.split("## Every equation")[1].split("## Errata")[0]
    numbers: set[int] = set()
    for row in re.findall(r"^\| ([^|]*\(\d+\)[^|]*) \|", section, re.M):
        found = [int(n) for n in re.findall(r"\((\d+)\)", row)]
        numbers |= set(range(found[0], found[1] + 1)) if " to " in row else set(found)
    assert numbers == set(range(1, 64))
    assert [name for name in re.findall(r"`(mvnet\.[\w.]+)`", text) if not _exists(name)] == []
    for notebook in re.findall(r"notebooks? `(\w+)`", section):
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").is_file()


def test_table_of_contents_is_complete() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < 300 * 1024
    assert any(f"img/{picture.name}" in page.read_text(encoding="utf-8") for page in PAGES.values())


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
