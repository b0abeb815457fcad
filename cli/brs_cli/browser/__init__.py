"""A local web page of recorded episodes: list, look, label, cut, delete with undo."""
