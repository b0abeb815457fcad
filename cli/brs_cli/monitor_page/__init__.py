"""A local web page of what the monitor sees: scores, heat maps, texts to watch for, alarms."""
