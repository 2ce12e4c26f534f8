"""From ratings to statements: screening, intervals, mixed models, tests, reliability, warnings, plots, a report."""
