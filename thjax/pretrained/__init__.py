"""Third-party weights, brought by the user and converted once into safetensors. Nothing is fetched."""
