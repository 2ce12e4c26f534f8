"""MU-LLaMA (Liu et al., 2023) and MusiScene: a LLaMA that hears one vector of music per clip."""
