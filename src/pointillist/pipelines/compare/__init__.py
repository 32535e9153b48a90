"""Two trained models on one page, drawn and measured alike."""
