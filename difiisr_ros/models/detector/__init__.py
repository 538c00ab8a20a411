"""The thermal detector as a network: its file, its maps, its boxes."""
