"""Table 2: captions of one or more systems against references, in both protocols, with intervals and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.metrics.caption_files import Pairing, pair
from musiscene.metrics.intervals import Combine, Scored, as_means, compare, finite, holm, ratio, score
from musiscene.metrics.scene_share import scene_share, tells_of_a_scene
from musiscene.metrics.variety import measure_variety
from musiscene.metrics.wordnet import HOW_TO_GET, find_wordnet
from musiscene.types import Job

if TYPE_CHECKING:
    from musiscene.metrics.bertscore import BertScorer

PROTOCOLS = ("paper", "standard")
SMALL = 100
"""With fewer clips than this a table says so."""

NAMES = {
    "bleu": "BLEU",
    "bleu_4": "BLEU-4 alone",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "bertscore": "BERTScore",
}
DEFINITIONS = {
    "paper": {
        "bleu": "NLTK sentence BLEU over characters, no smoothing, mean over clips",
        "bleu_4": "the same with 4-grams alone (weights 0, 0, 0, 1)",
        "meteor": "NLTK, wordpunct tokens, WordNet synonyms, mean over clips",
        "rouge_l": "rouge-score with stems, recall, mean over clips",
        "bertscore": "roberta-large, layer 17, recall, no rescaling, mean over clips",
    },
    "standard": {
        "bleu": "sacreBLEU over the corpus, divided by 100",
        "meteor": "NLTK, wordpunct tokens, WordNet synonyms, mean over clips",
        "rouge_l": "rouge-score with stems, F1, mean over clips",
        "bertscore": "roberta-large, layer 17, F1, no rescaling, mean over clips",
    },
}
_WORDS_PROGRESS = 0.5


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """One system's captions.

    Attributes:
        system: Its name.
        pairing: What was scored.
        protocols: Protocol -> metric -> its value and interval.
        variety: Distinct n-grams, self-BLEU, scene share, length.
    """

    system: str
    pairing: Pairing
    protocols: Mapping[str, Mapping[str, Scored]]
    variety: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class CaptionTable:
    """Several systems over the same references.

    Attributes:
        systems: In the order given.
        notes: What could not be computed and why, and what to bear in mind.
        checkpoint: BERTScore's weights; empty when they are not here.
        signature: sacreBLEU's.
        comparisons: What `compare` found between the first system and each other one.
    """

    systems: tuple[CaptionScores, ...]
    notes: tuple[str, ...] = ()
    checkpoint: str = ""
    signature: str = ""
    comparisons: tuple[Mapping[str, Any], ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The documented JSON layout."""
        return {
            "table": "captions",
            "definitions": {p: DEFINITIONS[p] for p in PROTOCOLS if any(p in s.protocols for s in self.systems)},
            "bertscore_checkpoint": self.checkpoint or None,
            "sacrebleu_signature": self.signature or None,
            "systems": [
                {
                    "system": scores.system,
                    "n": len(scores.pairing.ids),
                    "missing": list(scores.pairing.missing),
                    "extra": list(scores.pairing.extra),
                    "protocols": {
                        protocol: {name: scored.as_dict() for name, scored in found.items()}
                        for protocol, found in scores.protocols.items()
                    },
                    "variety": dict(scores.variety),
                }
                for scores in self.systems
            ],
            "comparisons": [dict(comparison) for comparison in self.comparisons],
            "notes": list(self.notes),
        }


def evaluate_captions(
    references: Mapping[str, Sequence[str]],
    systems: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    protocols: Sequence[str] = PROTOCOLS,
    bert: BertScorer | None = None,
    no_bert: str = "",
    seed: int = 0,
    job: Job | None = None,
) -> CaptionTable:
    """Score the captions of every system.

    With several systems only clips that all of them captioned are scored, so that they can be compared.

    Args:
        references: Id -> one or more texts.
        systems: System -> id -> its caption.
        protocols: "paper", "standard" or both.
        bert: For BERTScore; left out when None.
        no_bert: Why it is None, for the notes.
        seed: Of the resampling.
        job: Told how far it is; may stop it.

    Raises:
        RequestError: Nothing to score, or an unknown protocol.
        BackendUnavailableError: The packages are missing.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    _check(protocols, systems)
    common = set(references).intersection(*systems.values())
    notes = []
    pairings = {}
    for name, candidates in systems.items():
        whole = pair(references, candidates)
        kept = [i for i, clip in enumerate(whole.ids) if clip in common]
        if not kept:
            raise RequestError("No clip has a caption from every system, so they cannot be compared.")
        if whole.missing:
            notes.append(f"{name}: {len(whole.missing)} clips have no caption and are not scored.")
        if whole.extra:
            notes.append(f"{name}: {len(whole.extra)} captions have no reference and are not scored.")
        if whole.repeated:
            notes.append(f"{name}: {len(whole.repeated)} clips have several captions; the first of each is scored.")
        if len(kept) < len(whole.ids):
            notes.append(f"{name}: {len(whole.ids) - len(kept)} clips that another system lacks are not scored.")
        pairings[name] = Pairing(
            tuple(whole.ids[i] for i in kept),
            tuple(whole.references[i] for i in kept),
            tuple(whole.candidates[i] for i in kept),
            whole.missing,
            whole.extra,
            whole.repeated,
        )
    wordnet = find_wordnet()
    if wordnet is None:
        notes.append(HOW_TO_GET)
    if bert is None and no_bert:
        notes.append(f"BERTScore is left out. {no_bert}")
    n = len(next(iter(pairings.values())).ids)
    if n < SMALL:
        notes.append(f"Only {n} clip{'s' if n > 1 else ''}: look at the intervals before you compare values.")
    scored = []
    for index, (name, pairing) in enumerate(pairings.items()):

        def report(fraction: float, note: str, index: int = index, name: str = name) -> None:
            job.report((index + fraction) / len(pairings), f"{name}: {note}")

        part = Job(report=report, stop=job.stop)
        scored.append(_score_system(name, pairing, protocols, wordnet, bert, seed, part))
    from musiscene.metrics.words import bleu_signature

    comparisons = tuple(_compare(scored[0], other, seed) for other in scored[1:])
    job.progress(1.0, "Scored")
    return CaptionTable(
        tuple(scored),
        tuple(notes),
        bert.source if bert else "",
        bleu_signature() if "standard" in protocols else "",
        comparisons,
    )


def _check(protocols: Sequence[str], systems: Mapping[str, Any]) -> None:
    unknown = [name for name in protocols if name not in PROTOCOLS]
    if unknown or not protocols:
        raise RequestError(f"There is no protocol {', '.join(unknown) or 'at all'}; choose {' or '.join(PROTOCOLS)}.")
    if not systems:
        raise RequestError("There are no captions to score.")
    missing = [name for name in ("nltk", "rouge_score", "sacrebleu") if find_spec(name) is None]
    if missing:
        raise BackendUnavailableError(
            f"Caption metrics need {', '.join(missing)}: run `pip install 'musiscene[metrics]'`."
        )


def _score_system(
    name: str, pairing: Pairing, protocols: Sequence[str], wordnet: Any, bert: BertScorer | None, seed: int, job: Job
) -> CaptionScores:
    from musiscene.metrics import words

    rows: dict[tuple[str, str], list[Any]] = {}

    def keep(protocol: str, metric: str, value: Any) -> None:
        if protocol in protocols:
            rows.setdefault((protocol, metric), []).append(value)

    for index, (references, candidate) in enumerate(zip(pairing.references, pairing.candidates, strict=True)):
        job.progress(_WORDS_PROGRESS * index / len(pairing.ids), "words")
        overlap = words.rouge_l(references, candidate)
        if "paper" in protocols:
            keep("paper", "bleu", words.character_bleu(references, candidate))
            keep("paper", "bleu_4", words.character_bleu(references, candidate, words.BLEU_4))
        if "standard" in protocols:
            keep("standard", "bleu", words.bleu_counts(references, candidate))
        if wordnet is not None:
            meteor = words.meteor(references, candidate, wordnet)
            keep("paper", "meteor", meteor)
            keep("standard", "meteor", meteor)
        keep("paper", "rouge_l", overlap.recall)
        keep("standard", "rouge_l", overlap.f)
    if bert is not None:
        progress: Callable[[float], None] = lambda share: job.progress(  # noqa: E731
            _WORDS_PROGRESS + (1 - _WORDS_PROGRESS) * share, "BERTScore"
        )
        for overlap in bert.scores(pairing.references, pairing.candidates, progress):
            keep("paper", "bertscore", overlap.recall)
            keep("standard", "bertscore", overlap.f)
    found: dict[str, dict[str, Scored]] = {protocol: {} for protocol in protocols}
    for protocol in protocols:
        for metric in NAMES:
            values = rows.get((protocol, metric))
            if values is None:
                continue
            is_corpus = (protocol, metric) == ("standard", "bleu")
            statistics = np.stack(values) if is_corpus else as_means(values)
            combine: Combine = words.corpus_bleu if is_corpus else ratio
            found[protocol][metric] = score(statistics, combine, seed=seed)
    return CaptionScores(name, pairing, found, _variety(pairing.candidates, seed))


def _variety(captions: Sequence[str], seed: int) -> dict[str, float | None]:
    found = {name: finite(value) for name, value in asdict(measure_variety(captions)).items()}
    share = score(as_means([tells_of_a_scene(caption) for caption in captions]), seed=seed)
    return {
        **found,
        "scene_share": finite(scene_share(captions)),
        "scene_share_low": finite(share.low),
        "scene_share_high": finite(share.high),
    }


def _compare(first: CaptionScores, second: CaptionScores, seed: int) -> dict[str, Any]:
    """First minus second for every metric that both have; p-values are also given adjusted for their number."""
    protocols: dict[str, Any] = {}
    for protocol, metrics in first.protocols.items():
        differences = {
            name: compare(scored, second.protocols[protocol][name], seed=seed)
            for name, scored in metrics.items()
            if name in second.protocols[protocol]
        }
        adjusted = holm({name: difference.p for name, difference in differences.items()})
        protocols[protocol] = {
            name: {**difference.as_dict(), "p_holm": finite(adjusted[name])} for name, difference in differences.items()
        }
    return {"first": first.system, "second": second.system, "protocols": protocols}
