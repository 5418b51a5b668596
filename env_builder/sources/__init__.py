"""Where repositories come from: git URLs, local directories, release histories of the package index."""
