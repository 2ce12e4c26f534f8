"""Table 3: generated music against reference music and against the words it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.metrics import clap as claps
from musiscene.metrics import divergence, fad
from musiscene.metrics.clap import Clap
from musiscene.metrics.frechet import Distance, Gaussian, Groups, distance_between
from musiscene.metrics.intervals import Scored, as_means, finite, score
from musiscene.metrics.listeners import ClapListener, Listener, PasstListener, VggishListener
from musiscene.metrics.listening import Heard, Store, listen
from musiscene.metrics.sound_files import Failure, Remark, Sound, pair_sounds
from musiscene.networks.passt import Passt
from musiscene.networks.vggish import Vggish
from musiscene.types import Job, Limits

KL_NAMES = {"kl": "KL(reference ‖ generated)", "kl_reverse": "KL(generated ‖ reference)", "kl_both": "sum of both"}
EMBEDDINGS = ("vggish", "clap")

_NO_PARTNERS = "no generated clip has the name of a reference"


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that are at hand; what lacks one is left out, and said.

    Attributes:
        vggish: For FAD.
        passt: For KL.
        clap: For the CLAP score, and FAD on CLAP's embeddings.
        missing: Metric -> why its network is not here, and the next step.
    """

    vggish: Vggish | None = None
    passt: Passt | None = None
    clap: Clap | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse random weights.

        Raises:
            BackendUnavailableError: A network's weights come from nowhere.
        """
        for name, network in (("VGGish", self.vggish), ("PaSST", self.passt), ("CLAP", self.clap)):
            if network is not None and not network.source:
                raise BackendUnavailableError(f"{name} has random weights; no score is computed from it.")


@dataclass(frozen=True, slots=True)
class Background:
    """What generated music is compared with.

    Attributes:
        sounds: Reference clips.
        gaussian: Or a saved mean, covariance and n.
        source: Where it is from, for the report.
    """

    sounds: tuple[Sound, ...] = ()
    gaussian: Gaussian | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class MusicScores:
    """One system's music.

    Attributes:
        system: Its name.
        recipe: How FAD was computed.
        embedding: On what: "vggish" or "clap".
        checkpoints: Network -> where its weights are from.
        clips: Number of generated clips.
        pairs: Number of those with a reference of the same name.
        fad: The distance; None when it is left out.
        kl: Direction -> mean over segments; empty when it is left out.
        segments: Segments that KL is the mean of.
        model_s: Length of PaSST's segments, in seconds.
        clap: The mean score; None when it is left out.
        clap_by_clip: Clip -> its score.
        kl_by_clip: Clip -> its mean KL(reference ‖ generated).
        failures: Clips that some metric could not use.
        remarks: What is to be known about clips that were scored.
        alone: Clips without a partner.
        notes: What to bear in mind.
    """

    system: str
    recipe: str
    embedding: str
    checkpoints: Mapping[str, str]
    clips: int
    pairs: int
    fad: Distance | None = None
    kl: Mapping[str, Scored] = field(default_factory=dict)
    segments: int = 0
    model_s: int = 0
    clap: Scored | None = None
    clap_by_clip: Mapping[str, float] = field(default_factory=dict)
    kl_by_clip: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    remarks: tuple[Remark, ...] = ()
    alone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    background: Gaussian | None = None
    """Mean and covariance of the reference, to be saved."""

    def as_dict(self) -> dict[str, Any]:
        """The documented JSON layout."""
        document: dict[str, Any] = {
            "system": self.system,
            "clips": self.clips,
            "pairs": self.pairs,
            "checkpoints": dict(self.checkpoints),
        }
        if self.fad is not None:
            document["fad"] = {
                "value": finite(self.fad.value),
                "low": finite(self.fad.low),
                "high": finite(self.fad.high),
                "recipe": self.recipe if self.embedding == "vggish" else "windows of 10 s",
                "embedding": self.embedding,
                "n": self.fad.n,
                "n_reference": self.fad.n_reference,
            }
        if self.kl:
            document["kl"] = {
                "model_s": self.model_s,
                "segments": self.segments,
                **{direction: scored.as_dict() for direction, scored in self.kl.items()},
            }
        if self.clap is not None:
            document["clap"] = self.clap.as_dict()
        document["by_clip"] = {
            name: {"clap": self.clap_by_clip.get(name), "kl": self.kl_by_clip.get(name)}
            for name in sorted({*self.clap_by_clip, *self.kl_by_clip})
        }
        document["skipped"] = [failure.as_dict() for failure in self.failures]
        document["remarks"] = [remark.as_dict() for remark in self.remarks]
        document["without_partner"] = list(self.alone)
        document["notes"] = list(self.notes)
        return document


def evaluate_music(
    system: str,
    generated: Sequence[Sound],
    background: Background,
    networks: Networks,
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    recipe: str = "paper",
    embedding: str = "vggish",
    store: Path | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    job: Job | None = None,
) -> MusicScores:
    """Score a system's music with every network that is at hand.

    Where generated and reference clips have common names, pairs are formed and only they are scored, each cut to the
    shorter of the two, as the paper's evaluation does. Without common names FAD compares the sets as they are, and KL,
    which compares pairs, is left out.

    Args:
        system: Its name.
        generated: Its clips.
        background: The reference.
        networks: What to score with.
        texts: Clip -> what it was made from, for the CLAP score.
        recipe: One of `fad.RECIPES`.
        embedding: What FAD is computed on: "vggish" or "clap".
        store: Folder where what was heard is kept; nothing is kept when None.
        limits: What a file may be.
        seed: Of the resampling.
        job: Told how far it is; may stop it.

    Raises:
        RequestError: Nothing to compare, or an unknown recipe.
        BackendUnavailableError: A network has random weights.
        Stopped: `job` was stopped; what was heard is kept in `store`.
    """
    networks.check()
    chosen = fad.find_recipe(recipe)
    if embedding not in EMBEDDINGS:
        raise RequestError(f"FAD is computed on {' or '.join(EMBEDDINGS)}, not on {embedding!r}.")
    pairs = pair_sounds(generated, background.sounds)
    listeners = _listeners(networks, chosen, embedding)
    tally = _Tally(networks, chosen, embedding, texts or {})
    job = job or Job()
    if pairs.both:
        groups: list[tuple[Sound, ...]] = list(pairs.both)
        for heard in listen(groups, listeners, store=Store(store), limits=limits, job=job):
            tally.add_pair(heard)
    else:
        references = [(sound,) for sound in background.sounds]
        groups = [(sound,) for sound in generated]
        total = len(groups) + len(references)

        def part(offset: int, size: int) -> Job:
            return Job(lambda share, note: job.report((offset + share * size) / total, note), job.stop)

        heard_by = [listener for listener in listeners if listener.name != "kl"]
        for heard in listen(groups, heard_by, store=Store(store), limits=limits, job=part(0, len(groups))):
            tally.add_generated(heard)
        only_fad = [listener for listener in heard_by if listener.name == tally.fad_name]
        for heard in listen(
            references, only_fad, store=Store(store), limits=limits, job=part(len(groups), len(references))
        ):
            tally.add_reference(heard)
    return tally.result(system, len(generated), pairs.alone if pairs.both else (), len(pairs.both), background, seed)


def _listeners(networks: Networks, recipe: fad.Recipe, embedding: str) -> list[Listener]:
    listeners: list[Listener] = []
    if networks.vggish is not None and embedding == "vggish":
        listeners.append(VggishListener(networks.vggish, recipe))
    if networks.passt is not None:
        listeners.append(PasstListener(networks.passt))
    if networks.clap is not None:
        listeners.append(ClapListener(networks.clap))
    return listeners


class _Tally:
    """Running sums of all metrics; its size hardly depends on the number of clips."""

    def __init__(
        self, networks: Networks, recipe: fad.Recipe, embedding: str, texts: Mapping[str, Sequence[str]]
    ) -> None:
        self._networks, self._recipe, self._embedding, self._texts = networks, recipe, embedding, texts
        self.fad_name = "fad" if embedding == "vggish" else "clap"
        network = networks.vggish if embedding == "vggish" else networks.clap
        width = 0 if network is None else next(x.width for x in _listeners(networks, recipe, embedding)
                                               if x.name == self.fad_name)  # fmt: skip
        self._generated = Groups(width) if width else None
        self._reference = Groups(width) if width else None
        self._kl: dict[str, list[tuple[float, float]]] = {name: [] for name in KL_NAMES}
        self._clap_by_clip: dict[str, float] = {}
        self._kl_by_clip: dict[str, float] = {}
        self._without_text = 0
        self._failures: list[Failure] = []
        self._remarks: list[Remark] = []

    def add_pair(self, heard: Heard) -> None:
        """A generated clip and its reference."""
        generated = heard.sounds[0]
        self._keep(heard)
        if self._generated is not None and self._reference is not None and self.fad_name in heard.vectors:
            first, second = heard.vectors[self.fad_name]
            self._generated.add(generated.name, self._cut_off(first))
            self._reference.add(generated.name, self._cut_off(second))
        if "kl" in heard.vectors:
            p, t = (divergence.softmax(logits) for logits in heard.vectors["kl"])
            forward, backward = divergence.kl_divergence(t, p), divergence.kl_divergence(p, t)
            for name, values in (("kl", forward), ("kl_reverse", backward), ("kl_both", forward + backward)):
                self._kl[name].append((float(values.sum()), float(len(values))))
            self._kl_by_clip[generated.name] = float(forward.mean())
        if "clap" in heard.vectors:
            self._score_words(generated.name, heard.vectors["clap"][0])

    def add_generated(self, heard: Heard) -> None:
        """A generated clip without a partner."""
        sound = heard.sounds[0]
        self._keep(heard)
        if self._generated is not None and self.fad_name in heard.vectors:
            self._generated.add(sound.name, self._cut_off(heard.vectors[self.fad_name][0]))
        if "clap" in heard.vectors:
            self._score_words(sound.name, heard.vectors["clap"][0])

    def add_reference(self, heard: Heard) -> None:
        """A reference clip without a partner."""
        self._keep(heard)
        if self._reference is not None and self.fad_name in heard.vectors:
            self._reference.add(heard.sounds[0].name, self._cut_off(heard.vectors[self.fad_name][0]))

    def _keep(self, heard: Heard) -> None:
        self._failures += heard.failures
        self._remarks += heard.remarks

    def _cut_off(self, vectors: Any) -> Any:
        return np.maximum(vectors, 0.0) if self._embedding == "vggish" and self._recipe.relu else vectors

    def _score_words(self, name: str, vectors: Any) -> None:
        if not self._texts or self._networks.clap is None:
            return
        if name not in self._texts:
            self._without_text += 1
            return
        words = self._networks.clap.embed_texts([self._texts[name][0]])[0]
        self._clap_by_clip[name] = claps.similarity(vectors, words)

    def result(
        self, system: str, clips: int, alone: tuple[str, ...], paired: int, background: Background, seed: int
    ) -> MusicScores:
        """Values, intervals, and what is to be said about them."""
        notes = [f"{metric} is left out. {why}" for metric, why in self._networks.missing.items()]
        reference: Groups | Gaussian | None = self._reference
        if not paired and background.gaussian is not None:
            reference = background.gaussian
        distance = None
        if self._generated is not None and reference is not None:
            distance = self._distance(self._generated, reference, notes)
        if self._networks.passt is not None and not paired:
            why = "a saved background has no clips" if background.gaussian is not None else _NO_PARTNERS
            notes.append(f"KL is left out: it compares pairs, and {why}.")
        if alone:
            notes.append(f"{len(alone)} clips have no partner of their name and are not scored.")
        if self._without_text:
            notes.append(f"{self._without_text} clips have no text and get no CLAP score.")
        if self._failures:
            notes.append(f"{len({f.path for f in self._failures})} files could not be used by every metric; see below.")
        if self._remarks:
            notes.append(f"{len({r.path for r in self._remarks})} files were scored and are not whole; see below.")
        kl = {name: score(np.array(rows), seed=seed) for name, rows in self._kl.items() if rows}
        by_clip = list(self._clap_by_clip.values())
        networks = {
            "vggish": self._networks.vggish if self._embedding == "vggish" else None,
            "passt": self._networks.passt if kl else None,
            "clap": self._networks.clap if by_clip or self._embedding == "clap" else None,
        }
        return MusicScores(
            system=system,
            recipe=self._recipe.name,
            embedding=self._embedding,
            checkpoints={name: network.source for name, network in networks.items() if network is not None},
            clips=clips,
            pairs=paired,
            fad=distance,
            kl=kl,
            segments=int(sum(count for _, count in self._kl["kl"])),
            model_s=self._networks.passt.input_s if self._networks.passt else 0,
            clap=score(as_means(by_clip), seed=seed) if by_clip else None,
            clap_by_clip=self._clap_by_clip,
            kl_by_clip=self._kl_by_clip,
            failures=tuple(self._failures),
            remarks=tuple(self._remarks),
            alone=alone,
            notes=tuple(notes),
            background=self._reference.total() if self._reference is not None and self._reference.clips else None,
        )

    def _distance(self, generated: Groups, reference: Groups | Gaussian, notes: list[str]) -> Distance | None:
        whole = generated.total()
        n = reference.n if isinstance(reference, Gaussian) else reference.total().n
        if not whole.n or not n:
            notes.append("FAD is left out: no window could be heard in one of the sets.")
            return None
        if isinstance(reference, Gaussian) and reference.dimensions != whole.dimensions:
            raise RequestError(
                f"The background has {reference.dimensions} values a window, {self._embedding} {whole.dimensions}."
            )
        if min(whole.n, n) < whole.dimensions:
            notes.append(
                f"FAD rests on {whole.n} windows against {n}. Below {whole.dimensions} the covariance lacks full rank "
                "and the value is far too large; compare it with values at the same n only."
            )
        return distance_between(generated, reference)
