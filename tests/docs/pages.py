"""The Python blocks of README, CONTRIBUTING and the documentation.

A comment on the line before a block says more about it:

    <!-- needs: mvnet.denoise_dti -->    runs only where these names exist (several with commas)
    <!-- laws: manifolds -->             defines what goes through the battery of that kind, such as a CASE
    <!-- continues -->                   goes on in the names of the block before
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:<!-- (?P<key>\w+)(?:: (?P<value>[^\n]*?))? -->\n)?```python\n(?P<code>.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """Code and where it stands; `needs` are dotted names, `laws` a kind of object."""

    page: str
    line: int
    code: str
    needs: tuple[str, ...] = ()
    laws: str | None = None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    def run(self) -> dict[str, object]:
        """The names that the block defines; lines of a traceback are those of the page."""
        names: dict[str, object] = {"__name__": "example"}
        exec(compile("\n" * self.line + self.code, str(ROOT / self.page), "exec"), names)
        return names


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path) -> list[Block]:
    """Every Python block of a page, those that go on together with what they go on from."""
    text, found = path.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(text):
        key, value, code = match["key"], match["value"] or "", match["code"]
        page, line = str(path.relative_to(ROOT)), text[: match.start("code")].count("\n")
        if key == "continues":
            before = found.pop()
            gap = line - before.line - before.code.count("\n")
            found.append(Block(page, before.line, before.code + "\n" * gap + code, before.needs, before.laws))
        else:
            needs = tuple(value.replace(" ", "").split(",")) if key == "needs" else ()
            found.append(Block(page, line, code, needs, value if key == "laws" else None))
    return found


def exists(name: str) -> bool:
    """Whether a dotted name can be imported, or is an attribute of what can."""
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            reduce(getattr, parts[split:], importlib.import_module(".".join(parts[:split])))
            return True
        except (ImportError, AttributeError):
            continue
    return False
