"""Stage 5, judgement: ratings, and listening studies."""
