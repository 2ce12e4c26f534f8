"""What pages say: one file per language, with the app's page and the showcase's page in it; all have the same keys."""
