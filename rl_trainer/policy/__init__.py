"""What samples tokens: the seam (``base``) and the model that runs in this process (``in_process``)."""
