"""Rules: each reads the acts of one call and yields hits; one file for each kind of thing that is judged."""
