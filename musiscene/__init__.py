"""Background music for video that people can compare, rate and trust."""
