"""Reads how energy should change: "starts quietly and builds", "fades away", "swells, then calms"."""

from __future__ import annotations

import re

from musiscene.soundtracks._arranger.brief import CURVES

_QUIET = (
    r"(?:quiet\w*|soft\w*|gentl\w*|calm\w*|slow\w*|sparse\w*|minimal\w*|low|small|subtl\w*|delicate\w*|"
    r"hushed|silen\w*|still\w*|"
    r"almost nothing|nothing|whisper\w*|simpl\w*|peaceful\w*|tender\w*|alone|solo|single|lone|empty|"
    r"intimate\w*|subdued|restrained|faint\w*|"
    r"tiny|mellow\w*|serene\w*|near silence|bare\w*)"
)
_LOUD = (
    r"(?:loud\w*|strong\w*|intens\w*|energetic\w*|powerful\w*|big|huge|full\w*|epic\w*|explosi\w*|explod\w*|"
    r"heavy|heavily|fast\w*|"
    r"triumphant\w*|massive\w*|climax\w*|frantic\w*|dramatic\w*|thunder\w*|grand\w*|roar\w*|high|wild\w*|"
    r"fierce\w*|storm\w*|furious\w*|"
    r"everything|chaos|fortissimo|bombastic\w*|majestic\w*)"
)
_START = r"(?:start\w*|begin\w*|began|open\w*|intro\w*|first|initially)"
_GAP = r"[^.;]{0,28}?"
_LINK = r"[^.]{0,60}?"

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("build", rf"\bfrom (?:a |the )?{_QUIET}[^.]{{0,14}}\b(?:to|into)\b[^.]{{0,14}}\b{_LOUD}"),
    ("fade", rf"\bfrom (?:a |the )?{_LOUD}[^.]{{0,14}}\b(?:to|into)\b[^.]{{0,14}}\b{_QUIET}"),
    (
        "build",
        rf"\b{_QUIET}\b[^.;,]{{0,20}}\bat (?:first|the (?:start|beginning))\b[^.]{{0,60}}\b(?:{_LOUD}|"
        rf"grow\w*|build\w*)",
    ),
    ("fade", rf"\b{_LOUD}\b[^.;,]{{0,20}}\bat (?:first|the (?:start|beginning))\b[^.]{{0,60}}\b(?:{_QUIET}|fad\w+)"),
    (
        "steady",
        r"\b(?:no|without(?: any)?|never|doesn't|does not|not)\s+(?:\w+\s+)?(?:build(?:ing|s|-up)?|"
        r"crescendo|fade|climax|drop)\b",
    ),
    ("build and drop", r"\bbuild\w*(?:[- ]?ups?)?\b[^.]{0,40}\b(?:drop|drops)\b(?!\w)"),
    ("build and drop", r"\b(?:beat|bass)\s+drops?\b|\bbig drop\b|\bbefore the drop\b"),
    (
        "arch",
        rf"\b(?:build\w*|swell\w*|ris(?:es|ing|e)|grow\w*|crescendo\w*|climb\w*|peak\w*|climax\w*)\b{_LINK}"
        r"\b(?:then|and|before|and then|but|until it|only to)\b[^.]{0,30}?\b(?:fad\w+|calm\w*|fall\w*|"
        r"subsid\w*|reced\w*|quiet\w*|die\w*|"
        r"dissolv\w*|sink\w*|settl\w*|relax\w*|ebb\w*|eas\w+|drift\w*|silen\w*|soft\w*|melts?)",
    ),
    (
        "arch",
        r"\b(?:ebb and flow|rise and fall|rises and falls|swell and recede|wave-like|comes and goes|"
        r"waxes and wanes)\b",
    ),
    (
        "arch",
        rf"\b{_START}\b{_GAP}\b{_QUIET}\b{_LINK}\b(?:{_LOUD}|climax|peak)\b{_LINK}\b(?:end\w*|finish\w*|"
        rf"return\w*|back to)\b{_GAP}\b{_QUIET}",
    ),
    (
        "valley",
        rf"\b{_START}\b{_GAP}\b{_LOUD}\b{_LINK}\b{_QUIET}\b{_LINK}\b(?:end\w*|finish\w*|return\w*|back|"
        rf"again)\b{_GAP}\b(?:{_LOUD}|again|force|full)",
    ),
    (
        "valley",
        r"\b(?:quiet|calm|soft|sparse|gentle|peaceful)\b[^.]{0,12}\b(?:middle|bridge|breakdown)\b|"
        r"\bbreakdown in the middle\b|"
        r"\b(?:drops?|dips?|quiets?|calms?)\b[^.]{0,20}\bin the middle\b",
    ),
    (
        "drop",
        r"\bsudden(?:ly)?\b[^.]{0,24}\b(?:drops?|stops?|silence|quiet\w*|falls?|collaps\w*|calm\w*|empt\w*|"
        r"cuts? out|disappear\w*|break\w* off)\b",
    ),
    (
        "drop",
        r"\b(?:falls|drops|goes|cuts)\b[^.]{0,14}\b(?:silent|quiet|to nothing|to silence|away suddenly|"
        r"to a whisper)\b(?!\w)",
    ),
    (
        "burst",
        r"\bsudden(?:ly)?\b[^.]{0,24}\b(?:bursts?|explo\w+|erupt\w*|loud\w*|louder|kicks? in|attack\w*|"
        r"storm\w*|breaks? out|full force)\b",
    ),
    ("burst", r"\b(?:bursts? (?:into|out)|erupts?|explodes? (?:into|with)|all hell breaks)\b"),
    (
        "fade",
        rf"\b{_START}\b{_GAP}\b{_LOUD}\b{_LINK}\b(?:{_QUIET}|fad\w+|calm\w*|dies|die away|dissolv\w*|"
        rf"silence|dwindl\w*)\b",
    ),
    (
        "fade",
        r"\bfad(?:e|es|ing|ed)(?:[- ](?:away|out|to|into|down|slowly|gently|gradually))|\b(?:slowly|"
        r"gradually|gently|finally|then)\s+fad(?:e|es|ing)\b"
        r"|\bfades\b|\bfading\b",
    ),
    (
        "fade",
        r"\b(?:decrescendo|diminuendo|morendo|dying away|dies away|die away|winds? down|winding down|"
        r"calms? down|calming down|tapers? off|"
        r"trails? off|dissolves? into|peters? out|wanes?|settles? down|slowly disappear\w*|burns? down|"
        r"runs? out of)\b",
    ),
    (
        "fade",
        r"\b(?:get\w*|becom\w*|grow\w*|turn\w*)\s+(?:gradually\s+|ever\s+|steadily\s+|slowly\s+)?(?:quieter|"
        r"softer|calmer|gentler|weaker|fainter|sparser)\b|"
        r"\bfrom (?:loud|intense|full|strong)\b[^.]{0,12}\bto (?:quiet|soft|calm|nothing|silence)",
    ),
    (
        "build",
        rf"\b{_START}\b{_GAP}\b{_QUIET}\b{_LINK}\b(?:build\w*|grow\w*|swell\w*|ris(?:e|es|ing)|"
        rf"get\w* (?:loud\w*|big\w*|strong\w*)|"
        rf"intensif\w*|escalat\w*|climb\w*|{_LOUD})\b",
    ),
    (
        "build",
        r"\bbuilds?(?:[- ]up)?\b(?=[^.]{0,6}(?:$|[.,;!]|up|to\b|toward|into|in\b|slowly|gradually|"
        r"steadily|tension|and\b|"
        r"with\b|over|from|until|momentum|energy|throughout|then))"
        r"|\bbuilding\b(?=\W+(?:up|to\s+a|toward|into|slowly|gradually|steadily|tension|"
        r"in intensity|over time|momentum|"
        r"energy|throughout|and (?:building|growing|rising)))"
        r"|(?:,|\band|\bthen|\bslowly|\bgradually|\bsteadily|\balways)\s+building\b",
    ),
    (
        "build",
        r"\b(?:slowly|gradually|steadily|slow|gradual|steady)\W+(?:build\w*|grow\w*|ris\w+|swell\w*|"
        r"intensif\w*|escalat\w*|crescendo)\b",
    ),
    (
        "build",
        r"\b(?:keeps?|never stops|always|continually|constantly) (?:on )?(?:growing|building|rising|climbing)\b|"
        r"\bever (?:louder|bigger|stronger|wilder|faster)\b|\b(?:crescendo|crescendos|escalat\w+|"
        r"intensif(?:y|ies|ying)|ramps? up|mounting|rising (?:tension|"
        r"energy|intensity)|burgeoning|"
        r"gathers? (?:momentum|strength|pace|force)|gathering (?:momentum|strength|storm)|swelling|"
        r"rises? to|culminat\w+|"
        r"layer by layer|adds? layers|growing (?:in |louder|stronger|intensity|bigger))\b",
    ),
    (
        "build",
        r"\b(?:get\w*|becom\w*|grow\w*)\s+(?:gradually\s+|ever\s+|steadily\s+|slowly\s+|more and more\s+|more\s+)?"
        r"(?:louder|bigger|stronger|more intense|intense|fuller|more powerful|wilder|more energetic|larger)\b|"
        r"\bfrom (?:quiet|soft|calm|nothing|silence|a whisper|almost nothing)\b[^.]{0,14}\bto\b",
    ),
    ("arch", r"\bswells?\b"),
    (
        "steady",
        r"\b(?:constant|unchanging|same energy|flat|even) (?:energy|level|volume|dynamics?|intensity)\b|"
        r"\bno (?:build|dynamics|changes?)\b|\bstays the same\b",
    ),
)
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _PATTERNS)


def read_curve(text: str) -> tuple[float, ...]:
    """The curve of energy that lower-case `text` asks for, 0 to 1; empty when it asks for none."""
    for name, pattern in _COMPILED:
        if pattern.search(text):
            return CURVES[name]
    return ()
