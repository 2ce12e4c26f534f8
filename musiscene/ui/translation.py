"""Texts of Gradio's own components, translated in the browser by `gr.I18n`.

Gradio replaces a marker by the text of the browser's language in a label, an info, a value and a few more properties,
and nowhere else: not in choices, and not in what a handler returns. Choices are sent anew to who reads another language
(`settings_panel.translated`), and our own parts are told the language by the page (`texts`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import gradio as gr

from musiscene.ui.texts import ENGLISH, GRADIO_LOCALES, LANGUAGES, Texts


@dataclass
class Markers:
    """Hands out markers, and remembers which texts they stand for: only those travel with the page."""

    _used: dict[str, dict[str, str]] = field(default_factory=lambda: {language: {} for language in LANGUAGES})

    def __call__(self, key: str) -> str:
        """The marker of the text `key`."""
        return self.of(key, {language: texts[key] for language, texts in LANGUAGES.items()})

    def of(self, name: str, said: Texts) -> str:
        """The marker of a text that is put together: language -> text."""
        for language, text in said.items():
            # Gradio reads texts as ICU messages, in which braces and pairs of apostrophes mean something.
            if "{" in text or "''" in text:
                raise ValueError(f"{name} cannot be a text of one of Gradio's components: {text!r}")
            self._used[language][name] = text
        return str(gr.I18n(en=dict(ENGLISH))(name))

    def i18n(self) -> gr.I18n:
        """What `launch` needs."""
        return gr.I18n(**{GRADIO_LOCALES[language]: texts for language, texts in self._used.items()})
