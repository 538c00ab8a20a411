"""The synthetic scene: a street as a thermal camera sees it."""
