"""How strong the tests of tasks are: wrong fixes that should earn nothing, and rewritten solutions that should pass."""
