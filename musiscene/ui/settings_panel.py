"""The settings, folded away: captions, length, seed, takes, mix, profile, engines and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musiscene.captions._language.prompts import Template, list_templates
from musiscene.pipeline import Pipeline
from musiscene.profiles import PROFILES
from musiscene.registry import BackendSpec, discover
from musiscene.types import CaptionKind, Mix
from musiscene.ui.choices import PROMPTED
from musiscene.ui.texts import ENGLISH, LANGUAGES, Texts, fill, title_of
from musiscene.ui.translation import Markers

TAKES_AT_MOST = 3
"""Takes per caption that the page offers; more would not fit on a screen."""

_TASKS = {CaptionKind.FUSION: ("fusion",), CaptionKind.MSI: ("scene-from-music", "scene-from-picture")}


@dataclass(frozen=True, slots=True)
class SettingsPanel:
    """The fields, in the order in which handlers take their values.

    Attributes:
        accordion: What holds them.
        fields: What handlers are given.
        seed: One of them, which is filled with the seed that was used.
        choosing: Those with choices, whose words are not translated by Gradio.
        pipeline: Whose engines are offered.
    """

    accordion: gr.Accordion
    fields: tuple[gr.components.Component, ...]
    seed: gr.Number
    choosing: tuple[gr.components.Component, ...]
    pipeline: Pipeline

    def restored(self, options: Mapping[str, Any] | None) -> list[Any]:
        """Updates that put the fields as they were in an earlier comparison."""
        if not options:
            return [gr.skip()] * len(self.fields)
        captioners, prompts = options.get("captioners", {}), options.get("prompts", {})
        values = [
            options.get("kinds", [kind.value for kind in CaptionKind]),
            options.get("duration_s") or 0,
            options.get("seed") or 0,
            bool(options.get("locked")),
            options.get("takes", 1),
            options.get("mix", Mix.REPLACE.value),
            options.get("music_gain_db", 0.0),
            bool(options.get("blind")),
            options.get("profile") or self.pipeline.profile.name,
            options.get("generator") or "",
            bool(options.get("melody")),
            *(captioners.get(kind.value, "") for kind in CaptionKind),
            *(prompts.get(kind.value, "") for kind in PROMPTED),
        ]
        return [gr.update(value=value) for value in values]

    def translated(self, texts: Texts) -> list[Any]:
        """Updates that put the choices into another language."""
        return [gr.update(choices=choices) for choices in _all_choices(self.pipeline, texts)]


def blind_switch(marked: Markers) -> gr.Checkbox:
    """The switch that hides which is which; it belongs beside the buttons, not among the settings."""
    return gr.Checkbox(False, label=marked("blind"), info=marked("blind_about"), elem_id="ms-blind", container=False)


def settings_panel(pipeline: Pipeline, blind: gr.Checkbox, marked: Markers) -> SettingsPanel:
    """Lay the settings out where this is called."""
    longest = pipeline.settings.limits.max_score_s
    kind_choices, mix_choices, profile_choices, generator_choices, *rest = _all_choices(pipeline, ENGLISH)
    engine_choices, template_choices = rest[: len(CaptionKind)], rest[len(CaptionKind) :]
    with gr.Accordion(marked("settings"), open=False, elem_id="ms-settings") as accordion:
        with gr.Row():
            kinds = gr.CheckboxGroup(
                kind_choices, value=[kind.value for kind in CaptionKind], label=marked("kinds"), min_width=280
            )
            takes = gr.Slider(1, TAKES_AT_MOST, 1, step=1, label=marked("takes"), min_width=200)
        with gr.Row():
            seed = gr.Number(
                0, label=marked("seed_label"), info=marked("seed_about"), precision=0, minimum=0, min_width=160
            )
            lock = gr.Checkbox(False, label=marked("seed_lock"), min_width=160, elem_id="ms-lock")
            duration = gr.Number(
                0, label=marked("duration"), info=marked("duration_about"), minimum=0, maximum=longest, min_width=220
            )
        with gr.Row():
            mix = gr.Radio(mix_choices, value=Mix.REPLACE.value, label=marked("mix"), min_width=280, scale=2)
            gain = gr.Slider(-24, 12, 0, step=1, label=marked("gain"), min_width=200)
        profile = gr.Radio(
            profile_choices, value=pipeline.profile.name, label=marked("profile"), info=marked("profile_about")
        )
        with gr.Row():
            engines = [
                gr.Dropdown(choices, value="", label=_of_kind(marked, "engine_of", kind), min_width=180)
                for kind, choices in zip(CaptionKind, engine_choices, strict=True)
            ]
            generator = gr.Dropdown(generator_choices, value="", label=marked("engine_music"), min_width=180)
        melody = gr.Checkbox(False, label=marked("melody"), info=marked("melody_about"), elem_id="ms-melody")
        with gr.Accordion(marked("prompts"), open=False):
            gr.Markdown(marked("prompts_about"))
            with gr.Row():
                prompts, templates = [], []
                for kind, choices in zip(PROMPTED, template_choices, strict=True):
                    with gr.Column(min_width=280):
                        template = gr.Dropdown(choices, value="", label=marked("prompt_template"))
                        prompt = gr.Textbox(
                            "",
                            label=_of_kind(marked, "prompt_of", kind),
                            info=marked("prompt_own"),
                            placeholder=_templates(kind)[0].text,
                            lines=5,
                            max_lines=12,
                        )
                    known = {each.name: each.text for each in _templates(kind)}
                    template.input(
                        lambda name, known=known: known.get(name, ""),
                        template,
                        prompt,
                        queue=False,
                        show_progress="hidden",
                        api_visibility="private",
                    )
                    prompts.append(prompt)
                    templates.append(template)
    fields = (kinds, duration, seed, lock, takes, mix, gain, blind, profile, generator, melody, *engines, *prompts)
    choosing = (kinds, mix, profile, generator, *engines, *templates)
    return SettingsPanel(accordion, fields, seed, choosing, pipeline)


def _of_kind(marked: Markers, key: str, kind: CaptionKind) -> str:
    said = {language: fill(texts[key], title=title_of(kind, texts)) for language, texts in LANGUAGES.items()}
    return marked.of(f"{key}_{kind}", said)


def _all_choices(pipeline: Pipeline, texts: Texts) -> list[list[tuple[str, str]]]:
    """The choices of every field in `SettingsPanel.choosing`, in its order."""
    captioners = [[spec for spec in discover("captions") if kind in spec.produces] for kind in CaptionKind]
    return [
        [(title_of(kind, texts), kind.value) for kind in CaptionKind],
        [(texts[f"mix_{mix.value}"], mix.value) for mix in Mix],
        [_profile(name, pipeline, texts) for name in PROFILES],
        _engines(list(discover("soundtracks")), pipeline, texts),
        *(_engines(specs, pipeline, texts) for specs in captioners),
        *([(texts["prompt_none"], ""), *((t.name, t.name) for t in _templates(kind))] for kind in PROMPTED),
    ]


def _profile(name: str, pipeline: Pipeline, texts: Texts) -> tuple[str, str]:
    lacks = PROFILES[name].why_unavailable(pipeline.pool.options)
    title = texts.get(f"profile_{name}", name)
    return fill(texts["profile_not_here" if lacks else "profile_here"], title=title), name


def _engines(specs: list[BackendSpec], pipeline: Pipeline, texts: Texts) -> list[tuple[str, str]]:
    choices = [(texts["engine_profile"], "")]
    for spec in specs:
        missing = pipeline.pool.why_unavailable(spec) is not None
        choices.append((fill(texts["engine_missing"], name=spec.name) if missing else spec.name, spec.name))
    return choices


def _templates(kind: CaptionKind) -> list[Template]:
    return [template for task in _TASKS[kind] for template in list_templates(task)]
