"""Fine-tuning, part by part.

```text
config     what can be chosen                  examples   questions and answers with their sound, as tokens
stores     tensors on disk by content          features   MERT, once per clip
network    the network with a trainable set    constants  what does not change while that set is trained
batches    which items together, without waste schedule   learning rate
loop       steps, epochs, validation           saving     checkpoints that appear whole
estimates  memory and time before any is spent export     what the app loads; model card, hub
```
"""
