"""Stage 2, words: one file (or sub-package) per captioner, each with a module-level `SPEC`."""
