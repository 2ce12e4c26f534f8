"""What a machine without a model can say of a picture: one sequential pass, then one file for each concept."""
