"""Reads how energy should change: "starts quietly and builds", "fades away", "swells, then calms"."""

from __future__ import annotations

import re

from musiscene.soundtracks._arranger.brief import CURVES

_QUIET = (
    r"(?:quiet\w*|soft\w*|gentl\w*|calm\w*|slow\w*|sparse\w*|minimal\w*|low|small|subtl\w*|delicate\w*|"
    r"hushed|silen\w*|still\w*|"
    r"almost nothing|nothing|whisper\w*|simpl\w*|peaceful\w*|tender\w*|alone|solo|single|lone|empty|"
    r"intimate\w*|subdued|restrained|faint\w*|murmur\w*|solitary|"
    r"naked\w*|tiny|mellow\w*|serene\w*|near silence|bare\w*)"
)
_LOUD = (
    r"(?:loud\w*|strong\w*|intens\w*|energetic\w*|powerful\w*|big|huge|full\w*|epic\w*|explosi\w*|explod\w*|"
    r"heavy|heavily|fast\w*|"
    r"triumphant\w*|massive\w*|climax\w*|frantic\w*|dramatic\w*|thunder\w*|grand\w*|roar\w*|high|wild\w*|"
    r"fierce\w*|storm\w*|furious\w*|"
    r"everything|chaos|fortissimo|bombastic\w*|majestic\w*|monstrous|colossal|enormous|gigantic|immense|tremendous|"
    r"deafening|overwhelm\w*)"
)
_START = r"(?:start\w*|begin\w*|began|open\w*|intro\w*|first|initially|at the (?:top|outset)|kicks? off)"
_GROWS = (
    r"(?:build\w*|grow\w*|swell\w*|ris(?:e|es|ing)|get\w* (?:loud\w*|big\w*|strong\w*)|intensif\w*|escalat\w*|climb\w*|"
    r"opens up|widen\w*|unfold\w*|blossom\w*|expand\w*|gathers?|gains?|explod\w*|erupt\w*|mounts?)"
)
_SHRINKS = (
    r"(?:fad\w+|calm\w*|dies|die away|dissolv\w*|silence|dwindl\w*|drain\w*|ebb\w*|evaporat\w*|thin\w* out|wither\w*|"
    r"melt\w*|falls? (?:away|apart|silent)|recede\w*|subsid\w*|slips? away|quiet\w*|shrink\w*|strips? (?:down|back)|"
    r"collaps\w*|wind\w* down)"
)
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
        rf"\b{_START}\b{_GAP}\b{_LOUD}\b{_LINK}\b(?:{_QUIET}|{_SHRINKS})\b",
    ),
    ("fade", rf"\b{_LOUD}\b[^.;]{{0,24}}\bat the (?:top|start|outset|beginning)\b{_LINK}\b(?:{_QUIET}|{_SHRINKS})\b"),
    (
        "fade",
        r"\b(?:drains? away|draining away|ebbs? away|ebbing away|evaporates?|thins? out|withers? away|slips? away|"
        r"until (?:only )?(?:silence|nothing (?:is left|remains))|melts? away)\b",
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
        rf"\b{_START}\b{_GAP}\b{_QUIET}\b{_LINK}\b(?:{_GROWS}|{_LOUD})\b",
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
        r"\b(?:up and up|ever upwards?|bar by bar|step by step towards? (?:a|the) (?:climax|peak)|more and more "
        r"intense|stronger with (?:each|every)|gain(?:s|ing)? (?:strength|momentum|weight|"
        r"intensity)|(?:rises?|grows?|swells?|climbs?|increases?) "
        r"(?:slowly|gradually|steadily|constantly|relentlessly|inexorably))\b|"
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
    (
        "fade",
        r"\b(?:energy|intensity|volume|tension|pace|loudness)\b[^.]{0,24}\b(?:drops? off|falls? off|"
        r"declin\w+|decreas\w+|drains?|wanes?|dwindl\w+|slackens?|eases? off|fades?)\b|"
        r"\b(?:wind|bring|dial|take|tone) (?:it|things|everything|the \w+)(?: all)? (?:slowly |gradually )?down\b|"
        r"\b(?:then|always|ever) (?:ever )?(?:quieter|softer|calmer|fainter)\b|"
        r"\b(?:quieter|softer|fainter) (?:and|with every)\b|\bslips? into nothing\w*|"
        r"\b(?:los\w+|runs? out of) (?:its )?(?:strength|steam|energy|power|momentum)\b",
    ),
    (
        "build",
        r"\b(?:energy|intensity|volume|tension|loudness)\b[^.]{0,24}\b(?:increas\w+|rises?|rising|mounts?|grows?|climbs?|"
        r"goes up|picks? up)\b|"
        r"\b(?:turn|dial|crank|ramp|build) (?:it |things |everything |the \w+ )?up\b[^.]{0,30}\b(?:heat|volume|slowly|"
        r"gradually|steadily|little by little|bit by bit|step by step)\b|"
        r"\bgrow\w* (?:step by step|little by little|bit by bit|bar by bar)\b|"
        r"\b(mount|grow|ris|build|climb|swell)\w* and (?:on and )?\1\w*\b|"
        r"\b(?:then|always|ever) (?:ever )?(?:louder|bigger|stronger|wilder)\b|"
        r"\b(?:louder|bigger|stronger) (?:and|with every)\b|\bincreasingly "
        r"(?:loud|intense|heavy|strong|powerful|big)\b",
    ),
    ("arch", r"\bswells?\b"),
    (
        "steady",
        r"\b(?:constant|unchanging|same energy|flat|even) (?:energy|level|volume|dynamics?|intensity)\b|"
        r"\bno (?:build|dynamics|changes?)\b|\bstays the same\b",
    ),
)
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _PATTERNS)


_STARTS = re.compile(
    r"\b(?:at first|first|initially|at the outset|in the beginning|to begin with|starts?|starting|begins?|beginning|"
    r"opens?|opening|kick\w* (?:things |it |us )?off|turns? from|moves? from|goes from|hits)\b"
)
_LATER = re.compile(
    r"\b(?:then|later|finally|eventually|afterwards?|after which|ends?|ending|finish\w*|until|till|before|in the end|"
    r"by the end|towards? the end|at last|only to|gives? way|giving way|turn\w* (?:in)?to|becom\w+|to|into|as the|"
    r"step by step|gradual\w*|slowly|little by little|over time)\b"
)
_SOFT = re.compile(rf"\b(?:{_QUIET}|{_SHRINKS}|tranquil\w*|distant|shy|timid\w*|trail\w* (?:off|away))\b")
_HARD = re.compile(
    rf"\b(?:{_LOUD}|{_GROWS}|tutti|pounding|blaring|"
    r"full[- ](?:force|orchestra|band|power|blast|throttle))\b"
)


def _in_order(text: str) -> str:
    """A course told by what comes first and what comes later ("at first only a flute …, later the orchestra thunders"):
    the first strength named near the start, against the last one named after a word of time.
    """
    start = _STARTS.search(text)
    if start is None:
        return ""
    told = text[max(0, start.start() - 40) : start.start() + 220]
    later = [match for match in _LATER.finditer(told) if match.start() > 6]
    if not later:
        return ""
    named = sorted(
        [(match.start(), 1) for match in _HARD.finditer(told)] + [(match.start(), -1) for match in _SOFT.finditer(told)]
    )
    before = [strength for at, strength in named if at < later[0].start()]
    after = [strength for at, strength in named if at > later[0].start()]
    if not before or not after or before[0] == after[-1]:
        return ""
    return "build" if after[-1] > 0 else "fade"


def read_curve(text: str) -> tuple[float, ...]:
    """The curve of energy that lower-case `text` asks for, 0 to 1; empty when it asks for none."""
    for name, pattern in _COMPILED:
        if pattern.search(text):
            return CURVES[name]
    name = _in_order(text)
    return CURVES[name] if name else ()
