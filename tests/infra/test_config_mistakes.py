"""Bad stack files: every mistake is found, named with its key, its value and what is legal, and nothing else is."""

from pathlib import Path

import pytest
import yaml

from infra.config import parse
from infra.errors import ConfigErrors

FILES = sorted((Path(__file__).parent / "bad_stacks").glob("*.yaml"))


def test_there_are_enough_bad_stacks() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_bad_stack_is_refused_with_one_line_per_mistake(file: Path) -> None:
    bad = yaml.safe_load(file.read_text())
    with pytest.raises(ConfigErrors) as caught:
        parse(bad["config"], stack=bad["stack"])
    lines = str(caught.value).splitlines()
    for fragments in bad["expect"]:
        assert any(all(str(part) in line for part in fragments) for line in lines), (fragments, lines)
    assert len(lines) == len(bad["expect"]), lines
    assert "planted" not in str(caught.value).lower()


@pytest.mark.parametrize("config", [None, [], "x", 3, True, [{"topology": "ecs"}], "planted: 1"])
def test_a_config_that_is_no_mapping_is_a_mistake_like_any_other(config: object) -> None:
    with pytest.raises(ConfigErrors, match=r"^config: must be a mapping of keys; write `config:`") as caught:
        parse(config, stack="local")
    assert len(caught.value.mistakes) == 1
    assert "planted" not in str(caught.value)


def test_an_error_never_holds_the_value_of_a_secret() -> None:
    tree = {"topology": "hybrid", "hybrid": {"fallback": {"kind": "none"}}, "secrets": {"openaiApiKey": ["planted"]}}
    with pytest.raises(ConfigErrors) as caught:
        parse(tree, stack="local", encrypted=frozenset({"secrets"}))
    assert "planted" not in str(caught.value)
    assert "planted" not in repr(caught.value.mistakes)
