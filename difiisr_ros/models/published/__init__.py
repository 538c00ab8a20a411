"""The published network: its files, and how it upscales frames."""
