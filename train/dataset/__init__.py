"""Building the training set, part by part.

```text
config    what can be chosen                sources   AudioSet, a folder, captions as CSV, conversations as JSON -> rows
places    where a clip's file is; fetching  stages    rows -> rows with sound, captions, target (pure functions)
engines   chunks through the stages, in processes or on Ray; what is finished stays finished
quality   which rows are kept, and why not  splits    by video, so that nothing leaks
assemble  parts -> Parquet, report, card
```
"""
