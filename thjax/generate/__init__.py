"""Image and audio to video. Offline and streaming generation are the same code, frame for frame the same bits."""
