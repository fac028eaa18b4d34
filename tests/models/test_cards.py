"""The front matter of a model card agrees with the JSON beside the weights."""

import json
from importlib import resources

import pytest
import yaml

CARDS = sorted(
    path.name.removesuffix(".md")
    for path in resources.files("mvnet.models.weights").iterdir()
    if path.name.endswith(".md")
)


@pytest.mark.parametrize("name", CARDS)
def test_front_matter_agrees_with_the_weights(name):
    folder = resources.files("mvnet.models.weights")
    _, text, body = (folder / f"{name}.md").read_text(encoding="utf-8").split("---\n", 2)
    front, card = yaml.safe_load(text), json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert front["name"] == name and front["license"] == "mit" and front["library_name"] == "mvnet"
    for key in ("task", "architecture"):
        assert front[key] == card[key]
    assert front.get("parameters") == card.get("parameters")
    assert front["tags"] and front["datasets"] and body.lstrip().startswith(f"# Model card: `{name}`")
