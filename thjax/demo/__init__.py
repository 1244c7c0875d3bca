"""The whole line in minutes on a laptop: corpus, training, a talking head, a report."""
