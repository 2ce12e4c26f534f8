"""The arranger of the sketch profile: words to a brief, a brief to notes, notes to sound.

```text
text ── reading ──> Brief ── timing, form ──> bars on the clock
                              harmony, melody, bass, comping, drums, counter ──> Piece (parts of notes)
                              humanise ──> midi (a file)
                                       └─> sampler ──> mix (stereo sound of the exact length)
```
"""
