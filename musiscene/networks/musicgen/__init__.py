"""MusicGen (Copet et al. 2023, "Simple and Controllable Music Generation") with a decode loop of our own.

Weights are those of transformers' `MusicgenForConditionalGeneration`; text encoder and codec are its modules. What is
ours is what costs the time: the step of the language model, the delay pattern around it, and the sampling.
"""
