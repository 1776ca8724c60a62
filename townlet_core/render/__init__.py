"""Render a town as text, picture or page, from a live state or from a recording that is simulated again."""
