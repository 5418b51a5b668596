"""The front door of RepoDojo: the command line. Thin; the rooms below do the work."""
