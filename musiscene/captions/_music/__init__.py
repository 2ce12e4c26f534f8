"""What can be measured in music with numpy and scipy alone, and how to say it. Private to the sketch captioner."""
