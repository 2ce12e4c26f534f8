"""The page's texts: one file per language, all with the same keys."""
