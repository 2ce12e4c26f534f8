"""Stage 6, measure: captions against references, music against music, music against words and picture.

Nothing heavy is imported here; each module says what it measures and where its definition comes from.
"""
