"""Building the training set and fine-tuning MusiScene; nothing in `musiscene` imports it.

```text
build_dataset   python -m train.build_dataset CONFIG.toml      dataset/   its parts
finetune        accelerate launch -m train.finetune CONFIG.toml   tuning/   its parts
configs/        experiments as TOML files; a copy lies beside every result
```
"""
