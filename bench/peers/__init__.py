"""Other people's sandboxes, measured beside ours.

They are installed in a virtual environment of their own (``install.py``; pinned in ``bench/peers.txt``), and driven
there by ``drive.py``, which is told what to do as JSON and tells what it took as JSON.
"""
