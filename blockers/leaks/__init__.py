"""The leak audit, piece by piece: texts, their index, the marks of a gold patch, the searches."""
