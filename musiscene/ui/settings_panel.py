"""The settings, folded away: which captions, how long, which seed, how many takes, which engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musiscene.palette import TITLES
from musiscene.pipeline import Pipeline
from musiscene.registry import BackendSpec, discover
from musiscene.types import CaptionKind, Mix
from musiscene.ui.texts import ENGLISH as T
from musiscene.ui.texts import fill

TAKES_AT_MOST = 3
"""Takes per caption that the page offers; more would not fit on a screen."""


@dataclass(frozen=True, slots=True)
class SettingsPanel:
    """The fields, in the order in which handlers take their values."""

    fields: tuple[gr.components.Component, ...]
    seed: gr.Number

    def restored(self, options: Mapping[str, Any] | None) -> list[Any]:
        """Updates that put the fields as they were in an earlier comparison."""
        if not options:
            return [gr.skip()] * len(self.fields)
        captioners = options.get("captioners", {})
        values = [
            options.get("kinds", [kind.value for kind in CaptionKind]),
            options.get("duration_s") or 0,
            options.get("seed") or 0,
            bool(options.get("locked")),
            options.get("takes", 1),
            options.get("mix", Mix.REPLACE.value),
            options.get("music_gain_db", 0.0),
            bool(options.get("blind")),
            options.get("generator") or "",
            *(captioners.get(kind.value, "") for kind in CaptionKind),
        ]
        return [gr.update(value=value) for value in values]


def blind_switch() -> gr.Checkbox:
    """The switch that hides which is which; it belongs beside the buttons, not among the settings."""
    return gr.Checkbox(False, label=T["blind"], info=T["blind_about"], elem_id="ms-blind", container=False)


def settings_panel(pipeline: Pipeline, blind: gr.Checkbox) -> SettingsPanel:
    """Lay the settings out where this is called."""
    mixes = [(T[f"mix_{mix.value}"], mix.value) for mix in Mix]
    longest = pipeline.settings.limits.max_score_s
    with gr.Accordion(T["settings"], open=False, elem_id="ms-settings"):
        with gr.Row():
            kinds = gr.CheckboxGroup(
                [(TITLES[kind], kind.value) for kind in CaptionKind],
                value=[kind.value for kind in CaptionKind],
                label=T["kinds"],
                min_width=280,
            )
            takes = gr.Slider(1, TAKES_AT_MOST, 1, step=1, label=T["takes"], min_width=200)
        with gr.Row():
            seed = gr.Number(0, label=T["seed_label"], info=T["seed_about"], precision=0, minimum=0, min_width=160)
            lock = gr.Checkbox(False, label=T["seed_lock"], min_width=160)
            duration = gr.Number(
                0, label=T["duration"], info=T["duration_about"], minimum=0, maximum=longest, min_width=220
            )
        with gr.Row():
            mix = gr.Radio(mixes, value=Mix.REPLACE.value, label=T["mix"], min_width=280)
            gain = gr.Slider(-24, 12, 0, step=1, label=T["gain"], min_width=200)
        with gr.Row():
            profile = pipeline.profile
            engines = [
                _engine(fill(T["engine_of"], title=TITLES[kind]), profile.captioners[kind], _captioners(kind), pipeline)
                for kind in CaptionKind
            ]
            generator = _engine(T["engine_music"], profile.generator, list(discover("soundtracks")), pipeline)
        reason = f" {profile.reason[0].upper()}{profile.reason[1:]}." if profile.reason else ""
        gr.Markdown(fill(T["profile"], name=profile.name, summary=profile.summary) + reason)
        missing = _why_missing(pipeline)
        if missing:
            with gr.Accordion(T["engines_missing"], open=False):
                gr.Markdown("\n".join(f"- {line}" for line in missing))
    fields = (kinds, duration, seed, lock, takes, mix, gain, blind, generator, *engines)
    return SettingsPanel(fields, seed)


def _captioners(kind: CaptionKind) -> list[BackendSpec]:
    return [spec for spec in discover("captions") if kind in spec.produces]


def _engine(label: str, default: str, specs: list[BackendSpec], pipeline: Pipeline) -> gr.Dropdown:
    choices = [(fill(T["engine_auto"], name=default), "")]
    for spec in specs:
        missing = pipeline.pool.why_unavailable(spec) is not None
        choices.append((fill(T["engine_missing"], name=spec.name) if missing else spec.name, spec.name))
    return gr.Dropdown(choices, value="", label=label, min_width=180)


def _why_missing(pipeline: Pipeline) -> list[str]:
    specs = [spec for stage in ("captions", "soundtracks") for spec in discover(stage)]
    reasons = [pipeline.pool.why_unavailable(spec) for spec in specs]
    return list(dict.fromkeys(reason for reason in reasons if reason))  # several backends may lack the same weights
