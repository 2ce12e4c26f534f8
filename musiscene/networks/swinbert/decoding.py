"""Words from video tokens: greedy and beam search, with or without a cache.

A caption grows by asking what belongs in the place of a [MASK] behind the words so far. The original sends all words
and all video tokens through every layer for every word. Video tokens never look at words and words only look back, so
the keys and values of the video are computed once per clip and layer, and each further word costs two rows: the word
chosen last, and the [MASK] behind it. That is exact (`ReencodingSteps` is the original's way, for comparison).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from musiscene.networks.swinbert.model import MASK_PENALTY, SwinBert, penalties
from musiscene.networks.video_swin import Watch, ignore_progress

_NO_HOPE = -1e9


@dataclass(frozen=True, slots=True)
class Generated:
    """Captions as ids.

    Attributes:
        ids: (clips, max_gen_length) int64, first mark to last mark, then padding.
        log_probability: (clips,) float32: mean over the tokens that were produced; for beams, the beam's score.
    """

    ids: Tensor
    log_probability: Tensor


class Steps(Protocol):
    """Scores for the next word of several captions, asked for with one more word each time."""

    def next_logits(self, ids: Tensor) -> Tensor:
        """(rows, length) words so far -> (rows, vocabulary) float32 scores of the word behind them."""
        ...

    def continue_from(self, rows: Tensor) -> None:
        """Row i continues what row `rows[i]`, of the same clip, was."""
        ...


class ReencodingSteps:
    """The original's scheme: everything goes through every layer again for every word."""

    def __init__(self, model: SwinBert, visual_tokens: Tensor, beams: int = 1) -> None:
        self.model = model
        self.visual_tokens = visual_tokens.repeat_interleave(beams, dim=0)

    def next_logits(self, ids: Tensor) -> Tensor:
        """See `Steps`."""
        mask = ids.new_full((len(ids), 1), self.model.config.mask_id)
        states = self.model(torch.cat([ids, mask], dim=1), self.visual_tokens)
        return self.model.word_logits(states[:, ids.shape[1]])

    def continue_from(self, rows: Tensor) -> None:
        """Nothing is kept between words, so nothing has to move."""


class CachedSteps:
    """Keys and values of the video are kept per clip, those of words per row; beams share their clip's."""

    def __init__(self, model: SwinBert, visual_tokens: Tensor, beams: int = 1, watch: Watch = ignore_progress) -> None:
        self.model = model
        self.beams = beams
        sizes = model.config.bert
        self.heads = sizes.num_attention_heads
        self.head_size = sizes.hidden_size // sizes.num_attention_heads
        self.video = self._read_video(visual_tokens, watch)
        rows, limit = len(visual_tokens) * beams, model.config.max_gen_length
        self.words = visual_tokens.new_empty(sizes.num_hidden_layers, 2, rows, self.heads, limit, self.head_size)
        self.cached = 0

    def _read_video(self, hidden: Tensor, watch: Watch) -> list[tuple[Tensor, Tensor]]:
        """Send the video tokens through the layers once; keys and values (clips, heads, tokens, size) per layer."""
        additive = penalties(self.model.video_visibility()).to(hidden.dtype)
        layers = self.model.bert.encoder.layer
        kept = []
        for number, layer in enumerate(layers):
            attention = layer.attention.self
            key, value = (self._by_head(part(hidden)).contiguous() for part in (attention.key, attention.value))
            kept.append((key, value))  # contiguous: every word reads all of them
            if number < len(layers) - 1:  # the last layer's own output would be read by nobody
                query = self._by_head(attention.query(hidden))
                mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=additive)
                hidden = _finish_layer(layer, mixed, hidden)
            watch((number + 1) / len(layers))
        return kept

    def _by_head(self, rows: Tensor) -> Tensor:
        """(batch, length, hidden) -> (batch, heads, length, size)."""
        return rows.view(*rows.shape[:2], self.heads, self.head_size).transpose(1, 2)

    def next_logits(self, ids: Tensor) -> Tensor:
        """See `Steps`."""
        length = ids.shape[1]
        if length != self.cached + 1:
            raise ValueError(f"{self.cached} words are cached, so {self.cached + 1} must come next, not {length}")
        pair = torch.stack([ids[:, -1], torch.full_like(ids[:, -1], self.model.config.mask_id)], dim=1)
        hidden = self.model.embed_words(pair, first_position=length - 1)
        layers = self.model.bert.encoder.layer
        for number, layer in enumerate(layers):
            attention = layer.attention.self
            keys, values = self.words[number, :, :, :, : length + 1]
            # The next word's row overwrites that of the [MASK], which nobody else may see.
            keys[..., -2:, :] = self._by_head(attention.key(hidden))
            values[..., -2:, :] = self._by_head(attention.value(hidden))
            if number == len(layers) - 1:  # only the [MASK] is asked for a word
                hidden = hidden[:, 1:]
            mixed = self._attend(self._by_head(attention.query(hidden)), keys, values, self.video[number])
            hidden = _finish_layer(layer, mixed, hidden)
        self.cached = length
        return self.model.word_logits(hidden[:, -1])

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, video: tuple[Tensor, Tensor]) -> Tensor:
        """Attention of the rows over their clip's video and their own words; (rows, heads, 1 or 2, size)."""
        query = query * self.head_size**-0.5
        over_words = query @ keys.transpose(-1, -2)
        if query.shape[-2] == 2:
            over_words[..., 0, -1] += MASK_PENALTY  # a word does not look at the [MASK] behind it
        video_keys, video_values = video
        over_video = self._per_row(self._per_clip(query) @ video_keys.transpose(-1, -2))
        share = torch.cat([over_video, over_words], dim=-1).float().softmax(dim=-1).to(query.dtype)
        to_video, to_words = share[..., : over_video.shape[-1]], share[..., over_video.shape[-1] :]
        return self._per_row(self._per_clip(to_video) @ video_values) + to_words @ values

    def _per_clip(self, x: Tensor) -> Tensor:
        """(clips * beams, heads, n, m) -> (clips, heads, beams * n, m): one product serves a clip's beams."""
        if self.beams == 1:
            return x
        return x.reshape(-1, self.beams, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _per_row(self, x: Tensor) -> Tensor:
        """The inverse of `_per_clip`."""
        if self.beams == 1:
            return x
        return x.reshape(*x.shape[:2], self.beams, -1, x.shape[-1]).transpose(1, 2).flatten(0, 1)

    def continue_from(self, rows: Tensor) -> None:
        """See `Steps`."""
        self.words = self.words[:, :, rows]


def _finish_layer(layer: Any, mixed: Tensor, before: Tensor) -> Tensor:
    """What follows attention in a BERT layer; `mixed` is (batch, heads, length, size)."""
    attended = layer.attention.output(mixed.transpose(1, 2).flatten(2), before)
    out: Tensor = layer.feed_forward_chunk(attended)
    return out


def generate(
    model: SwinBert,
    visual_tokens: Tensor,
    *,
    beams: int | None = None,
    cached: bool = True,
    watch: Watch = ignore_progress,
) -> Generated:
    """Captions for clips whose video tokens are (clips, tokens, hidden).

    Args:
        model: The network.
        visual_tokens: From `SwinBert.visual_tokens`.
        beams: 1 is greedy; None takes the checkpoint's own habit.
        cached: False re-encodes everything for every word; the words are the same.
        watch: Told the progress; may raise to stop.
    """
    beams = beams or model.config.num_beams
    # Reading the video costs about as much as the words after it; both report to one scale.
    steps: Steps
    if cached:
        steps = CachedSteps(model, visual_tokens, beams, lambda fraction: watch(0.5 * fraction))
    else:
        steps = ReencodingSteps(model, visual_tokens, beams)

    def watch_words(fraction: float) -> None:
        watch(0.5 + 0.5 * fraction if cached else fraction)

    if beams == 1:
        return _greedy(model, steps, len(visual_tokens), watch_words)
    return _beam_search(model, steps, len(visual_tokens), beams, watch_words)


def _greedy(model: SwinBert, steps: Steps, clips: int, watch: Watch) -> Generated:
    config = model.config
    limit = config.max_gen_length
    ids = torch.full((clips, 1), config.cls_id, device=model.device)
    finished = torch.zeros(clips, dtype=torch.bool, device=model.device)
    total = torch.zeros(clips, device=model.device)
    produced = torch.zeros(clips, device=model.device)
    while ids.shape[1] < limit and not bool(finished.all()):
        logits = steps.next_logits(ids)
        best, word = logits.max(dim=-1)
        total += torch.where(finished, 0.0, best - logits.logsumexp(dim=-1))
        produced += ~finished
        word = torch.where(finished, config.pad_id, word)
        finished = finished | (word == config.sep_id)
        ids = torch.cat([ids, word[:, None]], dim=1)
        watch(ids.shape[1] / limit)
    ids[:, -1] = torch.where(finished, ids[:, -1], config.sep_id)  # the limit costs an unfinished caption its last word
    return Generated(functional.pad(ids, (0, limit - ids.shape[1]), value=config.pad_id), total / produced)


@dataclass(slots=True)
class _Best:
    """The best finished caption of one clip so far."""

    score: float = float("-inf")
    ids: Tensor | None = None
    done: bool = False


def _beam_search(model: SwinBert, steps: Steps, clips: int, beams: int, watch: Watch) -> Generated:
    config = model.config
    limit = config.max_gen_length
    ids = torch.full((clips * beams, 1), config.cls_id, device=model.device)
    scores = torch.full((clips, beams), _NO_HOPE, device=model.device)
    scores[:, 0] = 0.0  # all beams start equal: only the first counts
    best = [_Best() for _ in range(clips)]
    while (length := ids.shape[1]) < limit:
        log_probability = steps.next_logits(ids).log_softmax(dim=-1)
        vocabulary = log_probability.shape[-1]
        candidates = (log_probability.view(clips, beams, -1) + scores[..., None]).flatten(1)
        top_scores, top_places = candidates.topk(2 * beams, dim=1)
        ceiling = float(limit - 1) ** config.length_penalty
        rows, words, kept = [], [], []
        for clip in range(clips):
            found, first_row = best[clip], clip * beams
            found.done = found.done or found.score >= float(top_scores[clip, 0]) / ceiling
            going: list[tuple[int, int, float]] = []
            for score, place in zip(top_scores[clip].tolist(), top_places[clip].tolist(), strict=True):
                if found.done or len(going) == beams:
                    break
                row, word = first_row + place // vocabulary, place % vocabulary
                if word == config.sep_id or length + 1 == limit:
                    per_length = score / float(length) ** config.length_penalty
                    if per_length > found.score:
                        found.score, found.ids = per_length, ids[row]
                else:
                    going.append((row, word, score))
            going += [(first_row, config.pad_id, 0.0)] * (beams - len(going))
            for row, word, score in going:
                rows.append(row)
                words.append(word)
                kept.append(score)
        if all(found.done for found in best):
            break
        chosen = torch.tensor(rows, device=model.device)
        ids = torch.cat([ids[chosen], torch.tensor(words, device=model.device)[:, None]], dim=1)
        scores = torch.tensor(kept, device=model.device).view(clips, beams)
        steps.continue_from(chosen)
        watch(ids.shape[1] / limit)
    out = torch.full((clips, limit), config.pad_id, device=model.device)
    for clip, found in enumerate(best):
        assert found.ids is not None, "the last step finishes every beam"
        out[clip, : len(found.ids)] = found.ids
        out[clip, len(found.ids)] = config.sep_id
    return Generated(out, torch.tensor([found.score for found in best]))
