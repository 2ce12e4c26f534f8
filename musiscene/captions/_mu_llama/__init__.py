"""The parts of the MU-LLaMA captioner."""
