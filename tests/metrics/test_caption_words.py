"""BLEU, METEOR and ROUGE-L of captions in both protocols."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musiscene.metrics import words
from musiscene.metrics.wordnet import NoSynonyms, WordNet, find_wordnet


@pytest.fixture(scope="module")
def cases(parity_root: Path) -> dict:
    return json.loads((parity_root / "caption_metrics" / "cases.json").read_text())


@pytest.fixture(scope="module")
def wordnet() -> WordNet:
    found = find_wordnet()
    assert found is not None, "WordNet is missing: run tests/install_system.sh"
    return found


def test_parity_character_bleu(cases: dict) -> None:
    """BLEU over characters is that of MU-LLaMA's evaluation script, for 1- to 4-grams and for 4-grams alone."""
    for case in cases["cases"]:
        found = words.character_bleu([case["reference"]], case["candidate"])
        assert found == pytest.approx(case["bleu_char"], abs=1e-9), case["name"]
        alone = words.character_bleu([case["reference"]], case["candidate"], words.BLEU_4)
        assert alone == pytest.approx(case["bleu4_char"], abs=1e-9), case["name"]


def test_parity_rouge_l(cases: dict) -> None:
    """Recall, precision and F of ROUGE-L are the script's."""
    for case in cases["cases"]:
        found = words.rouge_l([case["reference"]], case["candidate"])
        wanted = (case["rougeL_precision"], case["rougeL_recall"], case["rougeL_f"])
        assert (found.precision, found.recall, found.f) == pytest.approx(wanted, abs=1e-9), case["name"]


def test_parity_meteor(cases: dict, wordnet: WordNet) -> None:
    """METEOR is NLTK's with WordNet, and without synonyms what it gives without them."""
    for case in cases["cases"]:
        found = words.meteor([case["reference"]], case["candidate"], wordnet)
        assert found == pytest.approx(case["meteor"], abs=1e-9), case["name"]
        plain = words.meteor([case["reference"]], case["candidate"], NoSynonyms())
        assert plain == pytest.approx(case["meteor_without_wordnet"], abs=1e-9), case["name"]


def test_parity_means(cases: dict, wordnet: WordNet) -> None:
    """The means over all cases, the empty candidate included, are the script's."""
    rows = [([c["reference"]], c["candidate"]) for c in cases["cases"]]
    mean = cases["mean"]
    assert np.mean([words.character_bleu(*row) for row in rows]) == pytest.approx(mean["bleu_char"], abs=1e-9)
    assert np.mean([words.rouge_l(*row).recall for row in rows]) == pytest.approx(mean["rougeL_recall"], abs=1e-9)
    assert np.mean([words.meteor(*row, wordnet) for row in rows]) == pytest.approx(mean["meteor"], abs=1e-9)


def test_parity_second_set(parity_root: Path, wordnet: WordNet) -> None:
    """The pairs beside the audio metrics have their values too."""
    rows = json.loads((parity_root / "audio_metrics" / "caption_metrics.json").read_text())["rows"]
    for row in rows:
        pair = [row["reference"]], row["candidate"]
        assert words.character_bleu(*pair) == pytest.approx(row["bleu_chars"], abs=1e-9)
        assert words.rouge_l(*pair).f == pytest.approx(row["rougeL_f"], abs=1e-9)
        assert words.meteor(*pair, wordnet) == pytest.approx(row["meteor_wordpunct"], abs=1e-9)


def test_corpus_bleu_is_that_of_sacrebleu(cases: dict) -> None:
    """Summed counts give sacreBLEU's value over any part of a corpus, short and empty texts included."""
    from sacrebleu.metrics import BLEU

    references = [case["reference"] for case in cases["cases"]]
    candidates = [case["candidate"] for case in cases["cases"]]
    counts = np.stack([words.bleu_counts([r], c) for r, c in zip(references, candidates, strict=True)])
    for start in range(len(references)):
        for size in (1, 2, 5, 14):
            part = slice(start, start + size)
            wanted = BLEU().corpus_score(candidates[part], [references[part]]).score / 100
            found = words.corpus_bleu(counts[part].sum(axis=0, keepdims=True))[0]
            assert found == pytest.approx(wanted, abs=1e-12)


def test_of_several_references_the_best_counts(wordnet: WordNet) -> None:
    """A caption that equals one of its references is right."""
    references, candidate = ["Rain on a roof.", "A train leaves the station."], "A train leaves the station."
    assert words.rouge_l(references, candidate).f == 1.0
    assert words.character_bleu(references, candidate) == 1.0
    assert words.meteor(references, candidate, wordnet) > 0.99


def test_wordnet_knows_irregular_forms(wordnet: WordNet) -> None:
    """Synonyms are found for plurals, irregular verbs and comparatives, as WordNet's own rules say."""
    assert any("kid" in s.words for s in wordnet.synsets("children"))
    assert any("walk" in s.words for s in wordnet.synsets("walking"))
    assert wordnet.synsets("Xylophonists of doom") == []


def test_no_wordnet_in_an_empty_folder(tmp_path: Path) -> None:
    """Where the files are not there is no WordNet."""
    assert find_wordnet(tmp_path) is None
