"""Caption tables: variety, scenes, intervals, tests between systems, and what is said when something lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import RequestError
from musiscene.metrics import caption_tables
from musiscene.metrics.caption_files import pair, read_captions
from musiscene.metrics.caption_tables import evaluate_captions
from musiscene.metrics.intervals import as_means, compare, holm, ratio, score
from musiscene.metrics.scene_share import scene_share, tells_of_a_scene
from musiscene.metrics.variety import measure_variety, self_bleu, words

REFERENCES = {f"c{i}": (f"A train number {i} crosses a bridge at dawn while birds rise.",) for i in range(12)}


def test_equal_captions_have_no_variety() -> None:
    """When all captions say the same, self-BLEU is 1 and no caption is said once."""
    found = measure_variety(["The music is upbeat and energetic."] * 5)
    assert found.self_bleu == pytest.approx(1.0)
    assert found.unique_share == 0.0
    assert (found.distinct_1, found.mean_words) == (pytest.approx(6 / 30), 6.0)


@pytest.mark.slow(seconds=2)
def test_self_bleu_is_that_of_each_caption_against_the_others() -> None:
    """The one-pass value equals BLEU computed one by one with all others as references."""
    from nltk.translate.bleu_score import sentence_bleu

    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), rng.integers(4, 9))) for _ in range(12)]
    tokens = [words(text) for text in texts]
    one_by_one = [sentence_bleu([t for j, t in enumerate(tokens) if j != i], tokens[i]) for i in range(12)]
    assert self_bleu(tokens) == pytest.approx(np.mean(one_by_one), abs=1e-9)


@pytest.mark.parametrize(
    ("caption", "scene"),
    [
        ("A man walks through the park at sunset.", True),
        ("A person is playing a guitar.", True),
        ("Snow falls on an empty station.", True),
        ("The music is upbeat and energetic, with a fast tempo and a catchy melody.", False),
        ("A slow piano melody over soft strings, calm and sad.", False),
        ("The music is suitable for videos of animals in a forest.", False),
        ("", False),
    ],
)
def test_scenes_and_sounds_are_told_apart(caption: str, scene: bool) -> None:
    """A caption is about a scene when it names something that could be filmed."""
    assert tells_of_a_scene(caption) is scene


def test_share_of_nothing_is_not_a_number() -> None:
    """Without captions there is no share."""
    assert np.isnan(scene_share([]))


def test_intervals_hold_the_mean_and_narrow_with_n() -> None:
    """The interval contains the value, is repeatable, and is narrower for more clips."""
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    few, many = score(as_means(values[:40])), score(as_means(values))
    for found in (few, many):
        assert found.low < found.value < found.high
    assert many.high - many.low < few.high - few.low
    assert score(as_means(values)).low == many.low


def test_paired_test_finds_a_small_steady_difference() -> None:
    """A steady difference that intervals alone would not show is significant; none gives a large p."""
    rng = np.random.default_rng(2)
    base = rng.normal(0.5, 0.2, 80)
    first, second = score(as_means(base + 0.02 + rng.normal(0, 0.01, 80))), score(as_means(base))
    assert first.low < second.high
    found = compare(first, second)
    assert found.p < 0.001
    assert 0.01 < found.low < found.value < found.high < 0.03
    assert compare(first, first).p == 1.0


def test_false_alarms_are_as_rare_as_said() -> None:
    """Between equal systems p is below 0.1 in about a tenth of the cases."""
    rng = np.random.default_rng(3)
    p = [
        compare(score(as_means(rng.random(20)), draws=2), score(as_means(rng.random(20)), draws=2), trials=300).p
        for _ in range(200)
    ]
    assert 0.04 < np.mean(np.array(p) < 0.1) < 0.17


def test_holm_keeps_the_order() -> None:
    """Adjusted p-values are larger, in the same order, and at most 1."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.5}) == pytest.approx({"a": 0.03, "b": 0.08, "c": 0.5})


def test_ratio_of_nothing_is_not_a_number() -> None:
    """A mean of no weight is nan and not an error."""
    assert np.isnan(ratio(np.zeros((1, 2)))[0])


def test_both_protocols_of_a_perfect_system() -> None:
    """Captions equal to their references have the highest scores, and no candidate is worth nothing."""
    table = evaluate_captions(REFERENCES, {"same": REFERENCES, "silent": dict.fromkeys(REFERENCES, ("",))})
    same, silent = table.systems
    for protocol in ("paper", "standard"):
        assert same.protocols[protocol]["bleu"].value == pytest.approx(1.0)
        assert same.protocols[protocol]["rouge_l"].value == pytest.approx(1.0)
        assert silent.protocols[protocol]["bleu"].value == pytest.approx(0.0)
        assert silent.protocols[protocol]["meteor"].value == 0.0
    assert table.comparisons[0]["protocols"]["paper"]["bleu"]["p"] < 0.01
    json.dumps(table.as_dict(), allow_nan=False)


def test_characters_are_not_words() -> None:
    """Of the same words in another order, BLEU over characters is far above BLEU over words."""
    shuffled = {name: (" ".join(reversed(texts[0].split())),) for name, texts in REFERENCES.items()}
    table = evaluate_captions(REFERENCES, {"shuffled": shuffled})
    paper, standard = (table.systems[0].protocols[name]["bleu"].value for name in ("paper", "standard"))
    assert paper > standard + 0.2


def test_what_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WordNet METEOR is left out in words, the rest is computed; few clips are noted."""
    monkeypatch.setattr(caption_tables, "find_wordnet", lambda: None)
    table = evaluate_captions(REFERENCES, {"same": REFERENCES}, protocols=("paper",), no_bert="No weights.")
    assert set(table.systems[0].protocols["paper"]) == {"bleu", "bleu_4", "rouge_l"}
    assert any("WordNet" in note for note in table.notes)
    assert any("BERTScore is left out. No weights." in note for note in table.notes)
    assert any("Only 12 clips" in note for note in table.notes)


def test_systems_are_compared_over_the_same_clips() -> None:
    """Clips that one system lacks are left out for all, and counted aloud."""
    some = {name: texts for name, texts in REFERENCES.items() if name < "c2"}
    table = evaluate_captions(REFERENCES, {"all": REFERENCES, "some": some}, protocols=("standard",))
    assert [len(system.pairing.ids) for system in table.systems] == [len(some)] * 2
    assert any("have no caption" in note for note in table.notes)
    assert any("another system lacks" in note for note in table.notes)


def test_unknown_protocol() -> None:
    """A protocol that does not exist is named."""
    with pytest.raises(RequestError, match="no protocol new"):
        evaluate_captions(REFERENCES, {"same": REFERENCES}, protocols=("new",))


def test_files_of_captions(tmp_path: Path) -> None:
    """Single texts, lists, several lines for one clip, and blank lines are all read."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": 1, "caption": "a"}\n\n{"id": 1, "caption": "b"}\n{"clip": "x", "references": ["c", "d"]}\n')
    assert read_captions(path) == {"1": ("a", "b"), "x": ("c", "d")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": "a"}', "Line 1 .* has no text"),
        ("{", "Line 1 .* is not JSON"),
        ("[1]", "is not an object"),
        ("", "holds no captions"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: str, said: str) -> None:
    """What is wrong with a file is said with the line."""
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(RequestError, match=said):
        read_captions(path)


def test_separators_within_a_text(tmp_path: Path) -> None:
    """A text may hold any character that JSON allows, also those that some take for the end of a line."""
    path = tmp_path / "C.jsonl"
    path.write_text('{"id": "a", "caption": "A river.\u2028A boat.\x85"}\r\n{"id": "b", "caption": "A hill."}', "utf-8")
    assert read_captions(path) == {"a": ("A river.\u2028A boat.\x85",), "b": ("A hill.",)}


def test_several_captions_of_one_clip_are_mentioned() -> None:
    """Of a system's several captions of a clip the first is scored, and the table says so."""
    references = {"a": ("A train.",), "b": ("A hill.",)}
    table = evaluate_captions(references, {"ours": {"a": ("A train.", "Music."), "b": ("A hill.",)}})
    assert "ours: 1 clips have several captions; the first of each is scored." in table.notes
    assert table.systems[0].protocols["paper"]["bleu"].value == pytest.approx(1.0)


def test_files_without_a_common_clip() -> None:
    """Nothing in common is an error that shows both kinds of ids."""
    with pytest.raises(RequestError, match=r"'a'.*'b'"):
        pair({"a": ("x",)}, {"b": ("y",)})
