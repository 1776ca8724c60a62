"""Measures of whole episodes, of live towns and of recordings by one definition."""
