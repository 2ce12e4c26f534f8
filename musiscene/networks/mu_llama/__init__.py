"""MU-LLaMA (Liu et al., 2023) and MusiScene: a LLaMA that hears one vector of music per clip.

```text
sizes        read from the shapes of a checkpoint      layout      published names, shapes and row orders
checkpoint   files -> tensors, all of them checked     convert     tensors -> files: published, merged, for one clip
adapter      MERT's time means -> one vector           model       the network on transformers and PEFT, for training
decoder      the same, merged, for generating          listener    the vector -> what each layer of the decoder adds
generate     prompts -> tokens, sampled and streamed   tokenizer   text <-> tokens, and the prompt
memory       what it takes, before loading             tiny        a random one with all its files
```
"""
