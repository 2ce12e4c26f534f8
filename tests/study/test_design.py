"""A design is checked to the line before anybody is asked anything."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from small_study import design_text

from musiscene.errors import ConfigError
from musiscene.study.design import TrialType, load_design, parse_design
from musiscene.study.squares import blocks
from musiscene.study.toml_lines import key_lines

PRESETS = Path(__file__).resolve().parents[2] / "assets" / "studies"


@pytest.mark.parametrize(
    ("name", "conditions", "items", "per"),
    [
        ("form-1", ("video", "music", "msi"), 15, 15),
        ("form-2", ("fusion", "msi"), 8, 8),
        ("form-1-blocks", ("video", "music", "msi"), 15, 8),
    ],
)
def test_the_presets_are_the_papers_forms(name: str, conditions: tuple[str, ...], items: int, per: int) -> None:
    """Form 1, form 2 and the incomplete-block version, with every check on, in three languages."""
    design = load_design(PRESETS / f"{name}.toml")

    assert (design.name, design.conditions, design.item_count, design.per_participant) == (name, conditions, items, per)
    assert design.trial is TrialType.RATING
    assert design.languages == ("en", "zh", "es")
    checks = design.checks
    assert checks.practice and checks.volume and checks.headphones and checks.reference
    assert (checks.repeat, checks.anchor, checks.instructed) == (1, 1, 1)


def test_the_incomplete_blocks_are_balanced() -> None:
    """15 items in blocks of 8: every item in 8 of 15 blocks, every pair in 4 (a balanced incomplete block design)."""
    made = blocks(15, 8)

    assert (len(made.blocks), made.pair_low, made.pair_high) == (15, 4, 4)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('conditions = ["alphaone", "betatwo", "gammathree"]', 'conditions = ["alphaone", "alphaone"]', 3, "twice"),
        ('trial = "rating"', 'trial = "ratings"', 4, "one of rating, pair, single"),
        ("seed = 7", "seed = -7", 5, "whole number"),
        ('en = "How well does it fit?"', 'de = "Wie gut passt es?"', 8, "'en'"),
        ("count = 4", "count = 0", 13, "from 1 to 200"),
        ("per_participant = 4", "per_participant = 5", 14, "from 1 to 4"),
        ("practice = true", 'practice = "yes"', 16, "true or false"),
        ("volume = true", "vol = true", 17, "is not known"),
        ('kind = "number"', 'kind = "choice"', 25, "two options"),
        ('name = "tiny"', 'name = "../tiny"', 2, "small letters"),
        ('completion_code = "C0DE"', 'return_url = "javascript:alert(1)"', 24, "http"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, words: str) -> None:
    """The message names the file, the line and what would be right."""
    text = design_text()
    assert old in text

    with pytest.raises(ConfigError) as raised:
        parse_design(text.replace(old, new, 1), "my.toml")

    assert str(raised.value).startswith(f"my.toml, line {line}: ")
    assert words in str(raised.value)


def test_broken_toml_is_told_with_its_line() -> None:
    """Syntax errors carry the place that the parser knows."""
    with pytest.raises(ConfigError, match=r"line 2"):
        parse_design('name = "x"\ntitle = = 3\n')


def test_a_paired_comparison_has_no_reference() -> None:
    """What has no meaning is refused, not ignored."""
    with pytest.raises(ConfigError, match="no place in a paired comparison"):
        parse_design(design_text(trial="pair"))


def test_lines_are_found_through_strings_and_arrays() -> None:
    """Text that looks like a key inside a multi-line string or array is not one."""
    text = 'a = """\nb = 1\n[c]\n"""\nd = [\n  "e = 2",\n  { f = 3 },\n]\ng.h = 4 # i = 5\n[[j]]\nk = 6\n[[j]]\nk = 7\n'
    assert tomllib.loads(text)["j"][1]["k"] == 7

    lines = key_lines(text)

    assert lines == {
        ("a",): 1, ("d",): 5, ("g",): 9, ("g", "h"): 9, ("j", 0): 10, ("j", 0, "k"): 11, ("j", 1): 12,
        ("j", 1, "k"): 13,
    }  # fmt: skip
