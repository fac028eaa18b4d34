"""Skeletons that move, and timelines: by keyboard, without scripts, and what a screen reader is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mvnet.apps.common import page
from tests.apps.browser import opened, serious, wait_for_viewer

PARENT = np.array([-1, 0, 1])
TEXT = 'walk <b>"1"</b>'


def bodies() -> list[np.ndarray]:
    """Ten and four frames of a chain that stands along z."""
    chain = np.array([[0.0, 0, 1], [0, 0, 0], [0.2, 0, -1]])
    return [chain + np.linspace(0, 0.1, frames)[:, None, None] for frames in (10, 4)]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    spans = [(0.0, 1.5, TEXT, "#1f6fb2"), (1.5, 2.0, "unknown", "#8a8f98")]
    parts = [
        page.skeletons(bodies(), ["#1f6fb2", "#b2551f"], PARENT, 30.0, "Two walks", [TEXT, "b"]),
        page.legend([(TEXT, "#1f6fb2")]),
        page.timeline("recording", spans, "s"),
    ]
    path = tmp_path_factory.mktemp("page") / "motion.html"
    path.write_text(page.document("Motion", "two", parts), encoding="utf-8")
    return path


def test_what_the_page_holds(path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "<b>" not in text.split("<main>")[1] and "<canvas" in text
    spec = json.loads(text.split('class="spec">')[1].split("</script>")[0])
    assert [len(body) for body in spec["bodies"]] == [10, 4] and spec["parent"] == [-1, 0, 1]
    assert spec["bodies"][0][0][0][2] > spec["bodies"][0][0][2][2]  # upright
    assert 'width="750.0"' in text and 'width="250.0"' in text


def test_frames_of_a_long_recording_are_left_out_and_said() -> None:
    text = page.skeletons([np.random.default_rng(0).normal(size=(1300, 3, 2))], ["#000"], None, None, "In an image")
    spec = json.loads(text.split('class="spec">')[1].split("</script>")[0])
    assert len(spec["bodies"][0]) == 434 and spec["rate"] == 10 and "In an image, every 3th frame" in text


def test_by_keyboard_and_to_a_screen_reader(path, browser) -> None:
    with opened(browser, path, reduced_motion="reduce") as tab:
        figure = wait_for_viewer(tab, "skeletons")
        canvas = figure.locator("canvas")
        assert canvas.get_attribute("data-frame") == "0"  # who wants less motion starts it
        canvas.focus()
        tab.keyboard.press("ArrowUp")
        tab.keyboard.press("ArrowRight")
        assert (canvas.get_attribute("data-frame"), canvas.get_attribute("data-turn")) == ("1", "0.70")
        figure.locator('[data-role="frame"]').fill("7")
        assert canvas.get_attribute("data-frame") == "7"
        figure.locator('[data-role="play"]').click()
        figure.locator("canvas:not([data-frame='7'])").wait_for()
        assert not figure.locator("svg.still").is_visible() and serious(tab) == []


def test_without_scripts(path, browser) -> None:
    with opened(browser, path, java_script_enabled=False) as tab:
        assert tab.locator("svg.still").is_visible() and not tab.locator("canvas").is_visible()
